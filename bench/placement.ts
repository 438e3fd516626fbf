import { run } from "../tests/lab/program.ts";
import type { Variants } from "./variants.ts";

// Asked before this process is bound: the answer counts the CPUs that it may use.
const everywhere = `0-${navigator.hardwareConcurrency - 1}`;

export const placements = ["free", "one", "two"] as const;

/**
 * Where programs may run. Left free, the scheduler moves clients and servers between CPUs, and the same work costs more or
 * less with every move: with all on "one" CPU or servers and clients on "two" the data planes differ by their own cost.
 */
export type Placement = typeof placements[number];

/** Moves the servers that run, and the clients that this process will start. */
export async function placePrograms(placement: Placement, { all }: Variants): Promise<void> {
  const serverCpus = placement === "free" ? everywhere : "0";
  const clientCpus = { free: everywhere, one: "0", two: "1" }[placement];
  for (const pid of all.flatMap(({ cgroup }) => cgroup.pids())) await bind(pid, serverCpus);
  await bind(Deno.pid, clientCpus);
}

async function bind(pid: number, cpus: string): Promise<void> {
  await run({}, ["taskset", "--all-tasks", "--pid", "--cpu-list", cpus, `${pid}`]);
}
