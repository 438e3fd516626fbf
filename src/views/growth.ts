import type { Status } from "./status.ts";

type Counted = Pick<Status, "redirected" | "passed" | "refused" | "left"> & {
  connections: Pick<Status["connections"], "paired" | "adopted">;
};

/** What a status counts, as much of it as there was in a second. */
export interface Rates extends Counted {
  /** Between the two readings. */
  seconds: number;
}

/** The mean rates between two readings; undefined when the counters began anew. */
export function ratesBetween(before: Status, after: Status, seconds: number): Rates | undefined {
  if (seconds <= 0 || before.since !== after.since) return undefined;
  const rate = <Counts extends Record<string, number>>(one: Counts, other: Counts) =>
    Object.fromEntries(
      Object.entries(one).map((
        [name, count],
      ) => [name, Math.round((other[name] - count) / seconds * 100) / 100]),
    ) as Counts;
  const connections = ({ connections: { paired, adopted } }: Status) => ({ paired, adopted });
  return {
    seconds,
    connections: rate(connections(before), connections(after)),
    redirected: rate(before.redirected, after.redirected),
    passed: rate(before.passed, after.passed),
    refused: rate(before.refused, after.refused),
    left: rate(before.left, after.left),
  };
}
