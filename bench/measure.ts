import { hostMs, usedMs } from "./cpu_time.ts";
import type { Measured } from "./results.ts";
import type { VariantName, Variants } from "./variants.ts";
import type { Options, Row, Slice } from "./workload.ts";

export interface Measurements {
  measured: Measured[];
  /** How much of the CPUs' time programs used that do not belong to the run: 0 to 1; unknown without slices. */
  othersShare?: number;
}

/**
 * Runs every slice for each of its variants, in another order each round, and all of that for several rounds.
 *
 * @throws the signal's reason, between two slices
 */
export async function measureSlices(
  slices: readonly Slice[],
  variants: Variants,
  { rounds, cpu }: Options,
  interrupted: AbortSignal,
): Promise<Measurements> {
  const prepared = slices.map((slice) => {
    const rows = cpu && !slice.noCpuTime ? [...slice.rows, cpuRow(slice)] : slice.rows;
    return { slice, measured: rows.map((row) => prepare(row, slice.variants)) };
  });
  let others = 0, all = 0;
  for (let round = 0; round < rounds && slices.length > 0; round++) {
    console.error(`bench: round ${round + 1} of ${rounds}`);
    for (const { slice, measured } of prepared) {
      for (const name of rotated(slice.variants, round)) {
        interrupted.throwIfAborted();
        const { cgroup } = variants.find(name);
        const hostBefore = hostMs(), before = usedMs(cgroup);
        const { values, requests } = await slice.measure(name);
        const own = usedMs(cgroup) - before, host = hostMs();
        others += Math.max(0, host.used - hostBefore.used - own);
        all += host.all - hostBefore.all;
        // The last one is CPU time, which not every slice has a row for.
        const numbers = [...values, own * 1000 / requests];
        measured.forEach((row, index) => row.values[name]!.push(numbers[index]));
      }
    }
  }
  return {
    measured: prepared.flatMap(({ measured }) => measured),
    othersShare: all === 0 ? undefined : others / all,
  };
}

function prepare(row: Row, variants: readonly VariantName[]): Measured {
  return { row, values: Object.fromEntries(variants.map((name) => [name, []])) };
}

function cpuRow({ name, rows: [first] }: Slice): Row {
  return {
    group: `${first.group}, CPU time`,
    name: name ?? first.name,
    unit: "µs a request",
    lowerIsBetter: true,
  };
}

/** The same, beginning with another one each time. */
export function rotated<T>(items: readonly T[], by: number): T[] {
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
