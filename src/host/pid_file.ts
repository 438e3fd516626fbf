import { dirname } from "node:path";
import { SystemError } from "./libc/errno.ts";
import * as libc from "./libc/mod.ts";
import { describeHolder, lockHolder } from "./lock.ts";
import { identifyProcess } from "./process.ts";

/** What a PID file may have in it; anything else is some other file, which is not written over. */
const content = /^\d{0,10}\n?$/;

/**
 * This process's number in a file, for as long as the process runs. The file is locked (flock) meanwhile, and the kernel
 * takes the lock back when the process ends, however it ends: a file without a lock is left over from a crash.
 */
export class PidFile implements Disposable {
  readonly #path: string;
  #fd: number;

  constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
  }

  /** Removes the file, unless it is not this process's any more. */
  remove(): void {
    if (this.#fd < 0) return;
    try {
      if (isFileOf(this.#path, this.#fd)) Deno.removeSync(this.#path);
    } catch {
      // In a directory that is gone or read-only by now. The next start sees that nobody holds it.
    }
    libc.close(this.#fd);
    this.#fd = -1;
  }

  [Symbol.dispose](): void {
    this.remove();
  }
}

/**
 * Writes this process's number and a newline to `path`, mode 0644, in one step: no reader sees a part of it. A symbolic
 * link at `path` is not followed.
 *
 * @throws Error that names the file, and the process that uses it already if there is one
 */
export function createPidFile(path: string): PidFile {
  // In the same directory, as link(2) and rename(2) cannot leave it.
  const part = `${path}.${Deno.pid}`;
  let fd: number | undefined;
  try {
    fd = createLocked(part);
    while (!link(part, path)) {
      const stale = openStale(path);
      if (stale === undefined) continue;
      try {
        Deno.renameSync(part, path);
      } finally {
        libc.close(stale);
      }
      return new PidFile(path, fd);
    }
    Deno.removeSync(part);
    return new PidFile(path, fd);
  } catch (error) {
    if (fd !== undefined) {
      libc.close(fd);
      removeIfThere(part);
    }
    throw error instanceof PidFileError ? error : new PidFileError(path, explain(path, error as Error));
  }
}

class PidFileError extends Error {
  constructor(path: string, why: string) {
    super(`Cannot use ${path} as the PID file: ${why}`);
  }
}

/** A file with this process's number that nobody else can lock. */
function createLocked(path: string): number {
  const flags = libc.O_RDWR | libc.O_CREAT | libc.O_EXCL | libc.O_NOFOLLOW;
  // A process of this number that crashed here may have left one.
  removeIfThere(path);
  const fd = libc.open(path, flags, 0o644);
  try {
    Deno.chmodSync(`/proc/self/fd/${fd}`, 0o644); // whatever the umask is
    libc.flock(fd, libc.LOCK_EX);
    libc.write(fd, new TextEncoder().encode(`${Deno.pid}\n`));
    return fd;
  } catch (error) {
    libc.close(fd);
    removeIfThere(path);
    throw error;
  }
}

/** Gives a file another name; false when there is a file of that name. */
function link(from: string, to: string): boolean {
  try {
    Deno.linkSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

/**
 * Locks a PID file that no process has locked; returns its descriptor, whose lock makes every other start wait with its
 * own. Undefined when the file went away meanwhile.
 */
function openStale(path: string): number | undefined {
  let fd: number;
  try {
    // Without O_NONBLOCK, opening a FIFO waits for somebody to write to it.
    fd = libc.open(path, libc.O_RDONLY | libc.O_NOFOLLOW | libc.O_NONBLOCK);
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENOENT") return undefined;
    throw error;
  }
  let stale = false;
  try {
    const { isFile, size, dev, ino } = Deno.statSync(`/proc/self/fd/${fd}`);
    if (!isFile) throw new PidFileError(path, "it is there, and no file");
    const text = size > 16 ? undefined : Deno.readTextFileSync(`/proc/self/fd/${fd}`);
    if (text === undefined || !content.test(text)) {
      throw new PidFileError(path, "it is there and holds no process number; remove it if it is of no use");
    }
    if (!libc.flock(fd, libc.LOCK_EX | libc.LOCK_NB)) {
      throw new PidFileError(
        path,
        `${
          describeHolder(lockHolder(dev, ino!) ?? runningPid(text))
        } already uses it; stop it first, or name another ` +
          "file with --pid-file",
      );
    }
    stale = isFileOf(path, fd);
    return stale ? fd : undefined;
  } finally {
    if (!stale) libc.close(fd);
  }
}

function runningPid(text: string): number | undefined {
  return identifyProcess(Number(text))?.pid;
}

function isFileOf(path: string, fd: number): boolean {
  try {
    const there = Deno.lstatSync(path), open = Deno.statSync(`/proc/self/fd/${fd}`);
    return there.dev === open.dev && there.ino === open.ino;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function explain(path: string, error: Error): string {
  const code = "code" in error ? error.code : undefined;
  switch (code) {
    case "ENOENT":
      return `there is no directory ${dirname(path)} (ENOENT)`;
    case "ENOTDIR":
      return "a part of its path is not a directory (ENOTDIR)";
    case "ELOOP":
      return "it is a symbolic link, which is not followed (ELOOP)";
    case "EACCES":
    case "EPERM":
      return `nothing may be created in ${dirname(path)} (${code})`;
    case "ENOSPC":
      return `the filesystem of ${dirname(path)} is full (ENOSPC)`;
    case "EDQUOT":
      return `the quota of the filesystem of ${dirname(path)} is used up (EDQUOT)`;
    case "EROFS":
      return `${dirname(path)} is on a read-only filesystem (EROFS)`;
    default:
      return error.message;
  }
}
