import { c, check } from "./call.ts";
import { SystemError } from "./errno.ts";
import { cString } from "./library.ts";
import { openFlags } from "./machine.ts";

/** Of open(2), flock(2) and memfd_create(2): asm/fcntl.h, linux/memfd.h; those that differ between machines are in machine.ts. */
export const O_RDONLY = 0;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NONBLOCK = 0o4000;
export const { O_DIRECTORY, O_NOFOLLOW } = openFlags;
export const O_CLOEXEC = 0o2000000;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
const MFD_CLOEXEC = 1;
const MFD_NOEXEC_SEAL = 8;

/** Opens a file or directory; returns its descriptor, which is closed on exec. */
export function open(path: string, flags: number, mode = 0): number {
  return check(`open ${path}`, c().open(cString(path), flags | O_CLOEXEC, mode));
}

export function close(fd: number): void {
  check(`close descriptor ${fd}`, c().close(fd));
}

/** Reads at most `buffer.length` bytes; returns how many, 0 at the end. */
export function read(fd: number, buffer: Uint8Array<ArrayBuffer>): number {
  return check(`read descriptor ${fd}`, c().read(fd, buffer, BigInt(buffer.length)));
}

/** Writes all of `bytes`. */
export function write(fd: number, bytes: Uint8Array<ArrayBuffer>): void {
  for (let done = 0; done < bytes.length;) {
    const rest = bytes.subarray(done);
    done += check(`write descriptor ${fd}`, c().write(fd, rest, BigInt(rest.length)));
  }
}

/** A file in memory without a name in any directory; returns its descriptor. */
export function memfdCreate(name: string): number {
  const create = (flags: number) =>
    check(`create a memory file for ${name}`, c().memfd_create(cString(name), flags | MFD_CLOEXEC));
  try {
    // With vm.memfd_noexec=2 the kernel creates no others; a library in one can still be mapped.
    return create(MFD_NOEXEC_SEAL);
  } catch (error) {
    // Kernels before 6.3 do not know the flag.
    if (error instanceof SystemError && error.code === "EINVAL") return create(0);
    throw error;
  }
}

/**
 * Takes or releases a lock on the file; false when another descriptor holds it and `operation` has LOCK_NB.
 */
export function flock(fd: number, operation: number): boolean {
  try {
    check(`lock descriptor ${fd}`, c().flock(fd, operation));
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.code === "EAGAIN") return false;
    throw error;
  }
}

/** Makes `to` a descriptor of what `from` is; what it was before is closed. It is not closed on exec. */
export function dup2(from: number, to: number): void {
  check(`copy descriptor ${from} to ${to}`, c().dup2(from, to));
}

/** Programs that this process starts do not get the descriptor. */
export function closeOnExec(fd: number): void {
  const F_SETFD = 2, FD_CLOEXEC = 1;
  check(`mark descriptor ${fd}`, c().fcntl(fd, F_SETFD, FD_CLOEXEC));
}
