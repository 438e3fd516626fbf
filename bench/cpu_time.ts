import type { Cgroup } from "../tests/lab/cgroup.ts";

/** CPU time that the programs in a cgroup have used so far. */
export function usedMs({ path }: Cgroup): number {
  return Number(/^usage_usec (\d+)$/m.exec(Deno.readTextFileSync(`${path}/cpu.stat`))![1]) / 1000;
}

/** CPU time that was used and that there was, of all CPUs, since the host started. */
export function hostMs(): { used: number; all: number } {
  const msPerTick = 10;
  const [line] = Deno.readTextFileSync("/proc/stat").split("\n");
  const [user, nice, system, idle, iowait, irq, softirq, steal] = line.trim().split(/\s+/).slice(1).map(
    Number,
  );
  const used = user + nice + system + irq + softirq;
  return { used: used * msPerTick, all: (used + idle + iowait + steal) * msPerTick };
}
