import { readText } from "../read.ts";
import { c, check } from "./call.ts";

let offsetNs: bigint | undefined;

/** The time of CLOCK_MONOTONIC as BPF programs and the init system have it, in microseconds: a time namespace may have another. */
export function monotonicUs(): bigint {
  const CLOCK_MONOTONIC = 1;
  offsetNs ??= offsetOfNamespace();
  return (read(CLOCK_MONOTONIC) - offsetNs) / 1000n;
}

/** By how much this process's CLOCK_MONOTONIC is ahead, in nanoseconds (time_namespaces(7)). */
function offsetOfNamespace(): bigint {
  const found = /^monotonic +(-?\d+) +(\d+)$/m.exec(readText("/proc/self/timens_offsets") ?? "");
  return found ? BigInt(found[1]) * 1_000_000_000n + BigInt(found[2]) : 0n;
}

/** What this process has used of CPUs, in milliseconds: unlike the time, others that use them do not make it longer. */
export function cpuMs(): number {
  const CLOCK_PROCESS_CPUTIME_ID = 2;
  return Number(read(CLOCK_PROCESS_CPUTIME_ID)) / 1e6;
}

/** In nanoseconds. */
function read(clock: number): bigint {
  const time = new BigInt64Array(2);
  check("read a clock", c().clock_gettime(clock, new Uint8Array(time.buffer)));
  return time[0] * 1_000_000_000n + time[1];
}

/** How many jiffies a second has: CLOCK_MONOTONIC_COARSE goes by them (hrtimer's KTIME_LOW_RES). */
export function jiffiesPerSecond(): number {
  const CLOCK_MONOTONIC_COARSE = 6;
  const resolution = new BigInt64Array(2);
  check(
    "read a clock's resolution",
    c().clock_getres(CLOCK_MONOTONIC_COARSE, new Uint8Array(resolution.buffer)),
  );
  return Math.round(1e9 / Number(resolution[1]));
}
