import type { Options } from "./workload.ts";

/** Where and how a run was made: what its numbers depend on. */
export interface Conditions {
  /** The day, in UTC. */
  date: string;
  kernel: string;
  cpus: number;
  cpu: string;
  memoryGiB: number;
  /** TCP's congestion control. */
  congestionControl: string;
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
    congestionControl: Deno.readTextFileSync("/proc/sys/net/ipv4/tcp_congestion_control").trim(),
    options,
    othersShare,
  };
}

/** Lines of at most 80 columns. */
export function formatConditions(conditions: Conditions): string {
  const { date, kernel, cpus, cpu, memoryGiB, congestionControl, othersShare } = conditions;
  const { rounds, sliceSeconds, cpus: placement } = conditions.options;
  const where = {
    free: "",
    one: "; all programs on one CPU",
    two: "; servers on one CPU, clients on another",
  }[placement];
  return [
    `${date}, kernel ${kernel}, TCP with ${congestionControl}`,
    `${cpus} CPUs (${cpu}), ${memoryGiB} GiB; other programs used ${
      Math.round(othersShare * 100)
    } % of the CPUs`,
    `${rounds} rounds of ${sliceSeconds} s for each client and variant${where}`,
  ].join("\n");
}
