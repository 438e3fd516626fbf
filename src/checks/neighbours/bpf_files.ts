import { SystemError } from "../../host/libc/errno.ts";
import * as libc from "../../host/libc/mod.ts";
import { readMounts } from "../../host/mounts.ts";
import { BpfError } from "../../libbpf/errors.ts";
import { type BpfFile, openPinnedFile, parseFdinfo } from "../../libbpf/kernel_objects.ts";

/** Where a BPF object can be reached: its descriptor is closed when the next one is asked for. */
export interface Reached {
  file: BpfFile;
  /** A descriptor of this process, when `wanted` and possible. */
  fd?: number;
}

export interface Pinned extends Reached {
  path: string;
}

export interface Held extends Reached {
  pid: number;
}

/** Everything that is pinned on the bpffs mounts of this process; undefined for a step without a find. */
export function* pinnedFiles(): Generator<Pinned | undefined> {
  const seen = new Set<number>();
  for (const { type, target } of readMounts()) {
    if (type !== "bpf") continue;
    // The same filesystem may be mounted several times.
    const device = deviceOf(target);
    if (device === undefined || seen.has(device)) continue;
    seen.add(device);
    yield* pinnedBelow(target);
  }
}

function* pinnedBelow(directory: string): Generator<Pinned | undefined> {
  for (const { name, isDirectory } of listing(directory)) {
    const path = `${directory}/${name}`;
    if (isDirectory) {
      yield* pinnedBelow(path);
      continue;
    }
    const opened = openIfPinned(path);
    if (!opened) {
      yield undefined;
      continue;
    }
    const { fd, ...file } = opened;
    try {
      yield { file, fd, path };
    } finally {
      libc.close(fd);
    }
  }
}

/**
 * The BPF objects that the processes have open which this one sees, but for its own; undefined for a step without a find.
 *
 * @param wanted of which a descriptor of this process's own is needed
 */
export function* heldFiles(wanted: (file: BpfFile) => boolean): Generator<Held | undefined> {
  for (const { name } of listing("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === Deno.pid) continue;
    yield undefined;
    for (const { name: fd } of listing(`/proc/${pid}/fd`)) {
      // anon_inode:bpf-prog, anon_inode:bpf-map, anon_inode:bpf_link and, of some, with brackets
      if (!/^anon_inode:\[?bpf[-_]/.test(linkOf(`/proc/${pid}/fd/${fd}`))) {
        yield undefined;
        continue;
      }
      const file = parseFdinfo(textOf(`/proc/${pid}/fdinfo/${fd}`));
      if (!file) continue;
      const copy = wanted(file) ? copyOf(pid, Number(fd)) : undefined;
      try {
        yield { file, fd: copy, pid };
      } finally {
        if (copy !== undefined) libc.close(copy);
      }
    }
  }
}

function openIfPinned(path: string): ReturnType<typeof openPinnedFile> {
  try {
    return openPinnedFile(path);
  } catch (error) {
    // Removed meanwhile, another user's, or the kernel's own files.
    if (error instanceof BpfError) return undefined;
    throw error;
  }
}

function copyOf(pid: number, fd: number): number | undefined {
  try {
    const process = libc.openProcess(pid);
    try {
      return libc.copyDescriptor(process, fd);
    } finally {
      libc.close(process);
    }
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}

function listing(directory: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(directory)];
  } catch {
    // Gone, or not for this user to see.
    return [];
  }
}

function deviceOf(path: string): number | undefined {
  try {
    return Deno.statSync(path).dev;
  } catch {
    return undefined;
  }
}

function linkOf(path: string): string {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return "";
  }
}

function textOf(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
