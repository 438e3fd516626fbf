import { errnoName, SystemError } from "./errno.ts";
import { errno, type Libc, libc } from "./library.ts";

/** Passes on what a function of the C library returned, unless it is negative: that throws a {@link SystemError}. */
export function check(
  task: string,
  result: number | bigint,
  advice: Readonly<Record<string, string>> = {},
): number {
  if (result < 0) throw new SystemError(task, errno(), advice[errnoName(errno())]);
  return Number(result);
}

/** The C library, for a call whose errno is read. */
export function c(): Libc {
  // Found before the call, so that nothing comes between the call and the reading of its errno.
  errno();
  return libc();
}

/** A system call that glibc has no function for, or has since 2.36 only; negative when it failed. */
export function systemCall(number: bigint, ...args: bigint[]): bigint {
  const [first = 0n, second = 0n, third = 0n, fourth = 0n, fifth = 0n] = args;
  return c().syscall(number, first, second, third, fourth, fifth);
}

/** Where bytes are in memory, as a system call takes it. */
export function addressOf(bytes: Uint8Array<ArrayBuffer>): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
}
