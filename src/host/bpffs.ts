import { basename, dirname, join, resolve } from "node:path";
import { SystemError } from "./libc/errno.ts";
import * as libc from "./libc/mod.ts";
import { readMounts } from "./mounts.ts";
import { UnmetRequirement } from "./requirement.ts";

const BPF_FS_MAGIC = 0xcafe4a11;
const standardMount = "/sys/fs/bpf";

/**
 * Makes sure that `directory` exists on a bpffs and is nobody else's, so that it can take pins. Mounts a
 * bpffs at /sys/fs/bpf when the directory is to be below it and none is there.
 *
 * @returns whether the directory had to be created
 * @throws UnmetRequirement when it cannot take pins
 */
export function ensurePinDirectory(directory: string): boolean {
  const path = resolve(directory);
  if (checkPinDirectory(path) === "to be mounted") mountBpffs();
  if (checkPinDirectory(path) === "there") return false;
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
    return true;
  } catch (error) {
    throw new Error(`Cannot create the pin directory ${path}: ${(error as Error).message}`);
  }
}

/**
 * Whether `directory` can take pins, or could once it is made, or once a bpffs is mounted at /sys/fs/bpf. Changes nothing.
 *
 * @throws UnmetRequirement when it cannot take pins
 */
export function checkPinDirectory(directory: string): "there" | "to be made" | "to be mounted" {
  const path = resolve(directory);
  if (path === standardMount) {
    refuse(path, "it is the root of the bpffs", `name a directory below it, such as ${path}/mda`);
  }
  const base = nearestDirectory(path);
  if (!isBpffs(base)) {
    if (isBelow(path, standardMount) && !isBelow(base, standardMount)) return "to be mounted";
    refuse(path, `${base} is not on a bpffs`, `choose a directory below ${standardMount}`);
  }
  if (libc.filesystemOf(base).readOnly) {
    refuse(path, "the bpffs is read-only", `make it writable: mount -o remount,rw ${mountOf(base)}`);
  }
  checkOwners(path, base);
  return base === path ? "there" : "to be made";
}

/**
 * The names in a pin directory; none when it is not there.
 *
 * @throws Error when it is no directory, or this user may not look
 */
export function namesIn(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map((entry) => entry.name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    if (error instanceof Deno.errors.NotADirectory) refuse(directory, "it is not a directory");
    if (error instanceof Deno.errors.PermissionDenied) {
      refuse(directory, `user ${libc.geteuid()} may not look into it`, "run mda as root");
    }
    throw error;
  }
}

/** Removes the pins `names`; those that are not there are no error. */
export function removePins(directory: string, names: readonly string[]): void {
  for (const name of names) remove(join(directory, name), directory);
}

/**
 * Removes the pins `names` and then the directory. Files that are not named stay, and the directory with
 * them.
 *
 * @returns the names that stayed
 */
export function removePinDirectory(directory: string, names: readonly string[]): string[] {
  removePins(directory, names);
  const left = namesIn(directory);
  if (left.length === 0) remove(directory, directory);
  return left;
}

/** Whether `path` is on a bpffs. */
export function isBpffs(path: string): boolean {
  return libc.filesystemOf(path).magic === BPF_FS_MAGIC;
}

function refuse(path: string, why: string, remedy?: string): never {
  throw new UnmetRequirement(`Cannot use ${path} as the pin directory: ${why}`, remedy);
}

function remove(path: string, directory: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    if (!(error instanceof Error && "code" in error && error.code === "EROFS")) throw error;
    throw new Error(
      `Cannot remove the pins in ${directory}: the bpffs is read-only; make it writable with ` +
        `\`mount -o remount,rw ${mountOf(resolve(directory))}\`, then run mda disable`,
    );
  }
}

function mountBpffs(): void {
  try {
    // mode 0700, as systemd and bpftool do: the kernel's own default lets everyone create directories.
    libc.mount("bpf", standardMount, "bpf", libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC, "mode=0700");
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new SystemError(
      `mount a bpffs at ${standardMount}`,
      error.errno,
      `mount it as the host's root: mount -t bpf bpf ${standardMount}`,
    );
  }
}

/** Refuses a directory when a user other than root could replace it, or what is pinned in it. */
function checkOwners(path: string, base: string): void {
  const sticky = 0o1000, writableByOthers = 0o022;
  for (let at = base;; at = dirname(at)) {
    const { uid, mode } = Deno.statSync(at);
    if (uid !== 0 && uid !== libc.geteuid()) {
      refuse(path, `${at} belongs to user ${uid}, who could replace what is pinned there`, "choose another");
    }
    // In a sticky directory, as the root of a bpffs is by default, everyone may create but only owners may
    // replace.
    const exposed = (mode! & writableByOthers) !== 0 && (at === path || (mode! & sticky) === 0);
    if (exposed) {
      refuse(path, `others can write to ${at} and so replace what is pinned there`, `chmod 0700 ${at}`);
    }
    if (at === "/") return;
  }
}

/** The path itself, or the nearest directory above it that exists. */
function nearestDirectory(path: string): string {
  for (let at = path;; at = dirname(at)) {
    try {
      if (Deno.statSync(at).isDirectory) return at;
      return refuse(path, `${at} is not a directory`);
    } catch (error) {
      // bpf_lookup() keeps names with a dot for later use and answers EPERM.
      if (error instanceof Deno.errors.PermissionDenied && basename(at).includes(".")) {
        refuse(path, "names on a bpffs cannot have a dot");
      }
      if (error instanceof Deno.errors.PermissionDenied) refuse(path, error.message);
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

function isBelow(path: string, directory: string): boolean {
  return path.startsWith(directory + "/");
}

function mountOf(path: string): string {
  const mounts = readMounts().filter(({ target }) => path === target || isBelow(path, target));
  return mounts.reduce((best, { target }) => target.length >= best.length ? target : best, "/");
}
