import { statSync } from "node:fs";
import * as libc from "./libc/mod.ts";
import { readMounts } from "./mounts.ts";
import { UnmetRequirement } from "./requirement.ts";

const CGROUP2_SUPER_MAGIC = 0x63677270;

/** The cgroup that all others are below: cgroup_setup_root() (kernel/cgroup/cgroup.c) makes sure of its number. */
export const ROOT_CGROUP = 1n;

/**
 * The directory where the host's cgroup2 is mounted, the first if there are several. In a cgroup namespace that may be
 * a container's own cgroup, which is none.
 *
 * @throws UnmetRequirement when it is not mounted
 */
export function findCgroup2(): string {
  const mounts = readMounts();
  // One that another mount hides is as good as none.
  const v2 = mounts.filter(({ type, target }) => type === "cgroup2" && isCgroup2(target)).map((mount) =>
    mount.target
  );
  const found = v2.find((path) => statSync(path, { bigint: true }).ino === ROOT_CGROUP);
  if (found !== undefined) return found;
  if (v2.length > 0) {
    throw new UnmetRequirement(
      `Cannot find the host's cgroup: ${
        v2.join(", ")
      } is a container's own, and with it nothing else is accelerated`,
      "mount the host's /sys/fs/cgroup into the container (Kubernetes: hostPath) and name it with --cgroup, or share the " +
        "host's cgroup namespace (docker run --cgroupns=host)",
    );
  }
  const v1 = mounts.some((mount) => mount.type === "cgroup")
    ? "this host mounts cgroup v1 only"
    : "none is mounted";
  throw new UnmetRequirement(
    `Cannot find a cgroup2 mount: ${v1}`,
    "mount one beside it with `mkdir -p /run/cgroup2 && mount -t cgroup2 none /run/cgroup2`, or name a mounted one with " +
      "--cgroup",
  );
}

/** Whether `path` is on a cgroup2. */
export function isCgroup2(path: string): boolean {
  return libc.filesystemOf(path).magic === CGROUP2_SUPER_MAGIC;
}

/** The directory of the cgroup with this number, below the first cgroup2 mount; undefined when it is not there. */
export function findCgroup(id: bigint): string | undefined {
  const search = (path: string): string | undefined => {
    try {
      if (statSync(path, { bigint: true }).ino === id) return path;
      for (const { name, isDirectory } of Deno.readDirSync(path)) {
        const found = isDirectory && search(`${path}/${name}`);
        if (found) return found;
      }
    } catch (error) {
      // Removed meanwhile.
      if (!(error instanceof Error && "code" in error && ["ENOENT", "ENODEV"].includes(String(error.code)))) {
        throw error;
      }
    }
    return undefined;
  };
  return search(findCgroup2());
}

/** A cgroup's directory that is open. */
export interface OpenCgroup extends Disposable {
  fd: number;
  /** The number that the kernel has for the cgroup: the directory's inode (cgroup_id(), include/linux/cgroup.h). */
  id: bigint;
}

/**
 * Opens a cgroup's directory, to attach programs to.
 *
 * @throws UnmetRequirement when it is no directory of a cgroup2
 */
export function openCgroup(path: string): OpenCgroup {
  const fail = (why: string, remedy?: string): never => {
    throw new UnmetRequirement(`Cannot use ${path} as the cgroup: ${why}`, remedy);
  };
  let isDirectory = false;
  try {
    isDirectory = Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) fail("there is no such directory");
    throw error;
  }
  if (!isDirectory) fail("it is not a directory");
  if (!isCgroup2(path)) {
    fail("it is not on a cgroup2 filesystem", "`grep cgroup2 /proc/mounts` shows where one is mounted");
  }
  const fd = libc.open(path, libc.O_RDONLY | libc.O_DIRECTORY);
  return {
    fd,
    id: statSync(`/proc/self/fd/${fd}`, { bigint: true }).ino,
    [Symbol.dispose]: () => libc.close(fd),
  };
}
