/** How a case of the trial is seen in the data plane's counters. */
import { fail, type Finding, warn } from "../../checks/check.ts";
import { reasons } from "../../generated/reasons.ts";
import type { StartedDataPlane } from "../../plane/lifecycle/start.ts";
import { type Counters, readCounters } from "../../views/counters.ts";
import type { TrialProcess } from "./process.ts";

export const seeReasons = "docs/reasons.md says what each reason means, docs/troubleshooting.md what to do";

/** What a case works with. */
export interface Trial {
  plane: StartedDataPlane;
  process: TrialProcess;
  /** Stops the data plane, as `mda run` does; returns how many sockets stay. */
  stop(drainMs: number): Promise<number>;
}

/** Where mda cannot reach other processes, these may wait for edges: that is known, and a loss. */
export function onTcp(what: string, { refused, passed }: Growth, facts: Finding["facts"]): Finding {
  const why = words("refused", refused) || words("passed", passed) || "for no reason that was counted";
  const isUntended = Object.keys(refused).length === 0 && "untended" in passed;
  return isUntended
    ? warn(`${what}: ${why}`, "what is said of other processes", facts)
    : fail(`${what}: ${why}`, seeReasons, facts);
}

/** By how much counters have grown. */
export interface Growth {
  paired: number;
  messages: number;
  /** Only those that have grown. */
  passed: Record<string, number>;
  refused: Record<string, number>;
}

export function counters({ plane }: Trial): Counters {
  return readCounters(plane.object.map("counters"));
}

/** Returns by how much counters grow while something is done. */
export async function growth(trial: Trial, action: () => Promise<unknown>): Promise<Growth> {
  const before = counters(trial);
  await action();
  const after = counters(trial);
  const grown = (earlier: Record<string, number>, later: Record<string, number>) =>
    Object.fromEntries(
      Object.entries(later).map(([name, count]) => [name, count - earlier[name]] as const)
        .filter(([, count]) => count > 0),
    );
  return {
    paired: after.connections_paired - before.connections_paired,
    messages: after.redirected_messages - before.redirected_messages,
    passed: grown(before.passed, after.passed),
    refused: grown(before.refused, after.refused),
  };
}

/** Which reasons have been counted. */
export function words(group: "refused" | "passed", grown: Record<string, number>): string {
  const all: Record<string, { words: string }> = reasons[group];
  return Object.keys(grown).map((name) => `${group} ${name} (${all[name].words})`).join(", ");
}
