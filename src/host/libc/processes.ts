import { c, check, systemCall } from "./call.ts";
import { systemCallNumbers } from "./machine.ts";

const { SYS_pidfd_open, SYS_pidfd_getfd } = systemCallNumbers;

/** The effective user id of this process; 0 is root. */
export function geteuid(): number {
  return c().geteuid();
}

/** A descriptor of a process, which may end meanwhile. */
export function openProcess(pid: number): number {
  return check(`open process ${pid}`, systemCall(SYS_pidfd_open, BigInt(pid)));
}

/** A descriptor of this process for what `fd` is in the process behind `pidfd`. Needs CAP_SYS_PTRACE. */
export function copyDescriptor(pidfd: number, fd: number): number {
  const copy = systemCall(SYS_pidfd_getfd, BigInt(pidfd), BigInt(fd));
  return check(`copy descriptor ${fd} of another process`, copy, {
    EPERM:
      "it takes CAP_SYS_PTRACE, a kernel.yama.ptrace_scope below 3, and a security module that allows it",
  });
}
