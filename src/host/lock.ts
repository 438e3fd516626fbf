import { ensurePinDirectory } from "./bpffs.ts";
import { SystemError } from "./libc/errno.ts";
import * as libc from "./libc/mod.ts";
import { processName } from "./process.ts";

/** The pin directory is another instance's. */
export class PinDirectoryBusy extends Error {
  override name = "PinDirectoryBusy";
  /** The process that holds it; undefined when it is in another PID namespace. */
  readonly pid: number | undefined;

  constructor(directory: string, pid: number | undefined) {
    super(
      `Cannot use the pin directory ${directory}: ${
        describeHolder(pid)
      } already uses it; stop it first, or give this instance a ` +
        "directory of its own with --pin-dir",
    );
    this.pid = pid;
  }
}

/** `process 1234 (mda)`, for a message about what {@link lockHolder} has found where something is locked. */
export function describeHolder(pid: number | undefined): string {
  if (pid === undefined) return "a process in another PID namespace";
  const name = processName(pid);
  return `process ${pid}${name ? ` (${name})` : ""}`;
}

/**
 * The right to use a pin directory, one process at a time. The kernel takes it back when the process ends,
 * however it ends.
 */
export class PinDirectoryLock implements Disposable {
  #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  release(): void {
    if (this.#fd >= 0) libc.close(this.#fd);
    this.#fd = -1;
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** How often a lock is tried again whose holder has let go before it could be named. */
const TRIES = 10;

/**
 * Locks an existing pin directory.
 *
 * @throws PinDirectoryBusy when another process has it, SystemError: ENOENT when there is none
 */
export function lockPinDirectory(directory: string): PinDirectoryLock {
  for (let tries = 1;; tries++) {
    // bpffs has no flock of its own, so the VFS keeps the lock (locks_lock_file_wait), on directories as
    // well.
    const fd = libc.open(directory, libc.O_RDONLY | libc.O_DIRECTORY);
    try {
      const { dev, ino } = Deno.statSync(`/proc/self/fd/${fd}`);
      if (!libc.flock(fd, libc.LOCK_EX | libc.LOCK_NB)) {
        const holder = lockHolder(dev, ino!);
        if (holder === undefined && tries < TRIES) {
          libc.close(fd);
          continue;
        }
        throw new PinDirectoryBusy(directory, holder);
      }
      // A stopping instance removes the directory while it holds the lock; then this one is not the one at
      // the path.
      if (isAt(directory, dev, ino)) return new PinDirectoryLock(fd);
    } catch (error) {
      libc.close(fd);
      throw error;
    }
    libc.close(fd);
  }
}

/**
 * Makes a pin directory if there is none, and locks it.
 *
 * @throws PinDirectoryBusy when another process has it
 */
export function takePinDirectory(directory: string): PinDirectoryLock {
  for (;;) {
    ensurePinDirectory(directory);
    try {
      return lockPinDirectory(directory);
    } catch (error) {
      // Whoever had it has removed it.
      if (!(error instanceof SystemError && error.code === "ENOENT")) throw error;
    }
  }
}

function isAt(path: string, dev: number, ino: number | null): boolean {
  try {
    const now = Deno.statSync(path);
    return now.dev === dev && now.ino === ino;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The process that has locked a pin directory; undefined when none has, or none of this PID namespace. */
export function pinDirectoryHolder(directory: string): number | undefined {
  try {
    const { dev, ino } = Deno.statSync(directory);
    return lockHolder(dev, ino!);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The process that has locked (flock) a file of a filesystem; undefined when none has, or none of this PID namespace. */
export function lockHolder(dev: number, ino: number): number | undefined {
  // `1: FLOCK  ADVISORY  WRITE 6173 00:27:11932 0 EOF`; new_decode_dev's layout of minor and major.
  const major = dev >> 8 & 0xfff, minor = (dev & 0xff) | (dev >> 12 & 0xfff00);
  const hex = (number: number) => number.toString(16).padStart(2, "0");
  const file = `${hex(major)}:${hex(minor)}:${ino}`;
  for (const line of Deno.readTextFileSync("/proc/locks").split("\n")) {
    const [, kind, , , pid, lockedFile] = line.split(/\s+/);
    if (kind === "FLOCK" && lockedFile === file) return Number(pid);
  }
  return undefined;
}
