import { run } from "../tests/lab/program.ts";
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
  /** Which build mda is compared with, if any. */
  before?: string;
  /** How much of the CPUs' time programs used that do not belong to the run: 0 to 1. Only of slices. */
  othersShare?: number;
}

export async function describeRun(options: Options, othersShare: number | undefined): Promise<Conditions> {
  return {
    date: new Date().toISOString().slice(0, 10),
    kernel: Deno.osRelease(),
    cpus: navigator.hardwareConcurrency,
    cpu: /^model name\s*: (.*)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1] ?? Deno.build.arch,
    memoryGiB: Math.round(Deno.systemMemoryInfo().total / 2 ** 30),
    congestionControl: Deno.readTextFileSync("/proc/sys/net/ipv4/tcp_congestion_control").trim(),
    options,
    before: options.before && await describeVersion(options.before),
    othersShare,
  };
}

/** The version of a build, and what tells builds of one version apart: its BPF programs' digest. */
async function describeVersion(binary: string): Promise<string> {
  const text = await run({}, [binary, "--version"]);
  const digest = /^BPF object +(\S+)/m.exec(text)?.[1];
  return text.split("\n")[0] + (digest ? `, BPF object ${digest}` : "");
}

/** Lines of at most 80 columns. */
export function formatConditions(conditions: Conditions): string {
  const { date, kernel, cpus, cpu, memoryGiB, congestionControl, before, othersShare } = conditions;
  const { rounds, sliceSeconds, cpus: placement } = conditions.options;
  const where = {
    free: "",
    one: "; all programs on one CPU",
    two: "; servers on one CPU, clients on another",
  }[placement];
  const others = othersShare === undefined
    ? ""
    : `; other programs used ${Math.round(othersShare * 100)} % of the CPUs`;
  return [
    `${date}, kernel ${kernel}, TCP with ${congestionControl}`,
    `${cpus} CPUs (${cpu}), ${memoryGiB} GiB${others}`,
    `${rounds} rounds of ${sliceSeconds} s for each client and variant${where}`,
    ...before ? [`before: ${before}`] : [],
  ].join("\n");
}
