/** How a case of the trial is seen in the data plane's counters. */
import { fail, type Finding, warn } from "../../checks/check.ts";
import { reasons } from "../../generated/reasons.ts";
import type { StartedDataPlane } from "../../plane/lifecycle/start.ts";
import { type Counters, readCounters } from "../../views/counters.ts";
import type { TrialProcess } from "./process.ts";

/** What a case works with. */
export interface Trial {
  plane: StartedDataPlane;
  process: TrialProcess;
  /** Stops the data plane, as `mda run` does; returns how many sockets stay. */
  stop(drainMs: number): Promise<number>;
}

/** Of a connection, or messages, that went through TCP and should not. */
export function onTcp(what: string, { refused, passed }: Growth, facts: Finding["facts"]): Finding {
  const counted = [...countedIn("refused", refused), ...countedIn("passed", passed)];
  if (counted.length === 0) {
    return fail(`${what}: for no reason that was counted`, "report it with `mda doctor --bundle`", facts);
  }
  const found = `${what}: ${counted.map(({ name, words }) => `${name} (${words})`).join(", ")}`;
  // Where mda cannot reach other processes, these may wait for edges: that is known, and a loss.
  const isUntended = Object.keys(refused).length === 0 && "untended" in passed;
  return isUntended
    ? warn(found, "what is said of other processes", facts)
    : fail(found, counted.map(({ name, remedy }) => `${name}: ${remedy}`).join("; "), facts);
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

/** The reasons that have been counted, in words. */
function countedIn(group: "refused" | "passed", grown: Record<string, number>) {
  const all: Record<string, { words: string; remedy: string }> = reasons[group];
  return Object.keys(grown).map((name) => ({ ...all[name], name: `${group} ${name}` }));
}
