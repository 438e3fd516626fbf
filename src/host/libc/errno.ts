import { constants } from "node:os";
import { strerror } from "./library.ts";

/** Errors that the kernel's BPF code returns and that C's errno.h, and so node:os, does not list. */
const kernelOnly = { ENOTSUPP: 524, EUCLEAN: 117, ENOKEY: 126 };

const names = new Map<number, string>();
for (const [name, number] of Object.entries({ ...kernelOnly, ...constants.errno })) {
  // EAGAIN and EOPNOTSUPP share their numbers with EWOULDBLOCK and ENOTSUP; they are the names Linux uses.
  if (name !== "EWOULDBLOCK" && name !== "ENOTSUP") names.set(number, name);
}

/** The name of an error number: `EPERM`, or `errno 999` for a number that has none. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`;
}

/** The name and the C library's text: `EPERM (Operation not permitted)`. */
export function describeErrno(errno: number): string {
  if (errno === kernelOnly.ENOTSUPP) return "ENOTSUPP (Operation not supported by this kernel)";
  return `${errnoName(errno)} (${strerror(errno)})`;
}

/** The number of an error name: `errnoNumber("EPERM")` is 1. */
export function errnoNumber(name: keyof typeof constants.errno): number {
  return constants.errno[name];
}

/** What to do about errors that mean the same wherever they come from, by their names. */
export const commonAdvice: Readonly<Record<string, string>> = {
  EMFILE: "raise this process's limit of open files (ulimit -n, in a unit LimitNOFILE=)",
  ENFILE: "raise this host's limit of open files (sysctl fs.file-max)",
};

/** A system call or library function that failed. */
export class SystemError extends Error {
  override name = "SystemError";
  /** The error's number, always positive. */
  readonly errno: number;
  /** The error's name: `EPERM`. */
  readonly code: string;
  /** What to do, when that is known; it is the end of the message. */
  readonly remedy: string | undefined;

  /** @param task what was tried and on what, as it follows "Cannot": `open /sys/fs/bpf/mda` */
  constructor(task: string, errno: number, advice = commonAdvice[errnoName(errno)] ?? "") {
    super(`Cannot ${task}: ${describeErrno(errno)}${advice && `; ${advice}`}`);
    this.remedy = advice || undefined;
    this.errno = errno;
    this.code = errnoName(errno);
  }
}
