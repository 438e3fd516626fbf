import type { Options } from "./workload.ts";

/** Where and how a run was made: what its numbers depend on. */
export interface Conditions {
  /** The day, in UTC. */
  date: string;
  kernel: string;
  cpus: number;
  cpu: string;
  memoryGiB: number;
  options: Options;
  /** How much of the CPUs' time programs used that do not belong to the run: 0 to 1. */
  othersShare: number;
}

export function describeRun(options: Options, othersShare: number): Conditions {
  return {
    date: new Date().toISOString().slice(0, 10),
    kernel: Deno.osRelease(),
    cpus: navigator.hardwareConcurrency,
    cpu: /^model name\s*: (.*)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1] ?? Deno.build.arch,
    memoryGiB: Math.round(Deno.systemMemoryInfo().total / 2 ** 30),
    options,
    othersShare,
  };
}

export function formatConditions(
  { date, kernel, cpus, cpu, memoryGiB, options, othersShare }: Conditions,
): string {
  const { rounds, sliceSeconds } = options;
  return [
    `${date}, kernel ${kernel}, ${cpus} CPUs (${cpu}), ${memoryGiB} GiB`,
    `${rounds} rounds of ${sliceSeconds} s for each client and variant; other programs used ${
      Math.round(othersShare * 100)
    } % of the CPUs`,
  ].join("\n");
}
