import * as libc from "../host/libc/mod.ts";
import { BpfError, callForNumber } from "./errors.ts";

/** What a BPF descriptor can be of. */
export type BpfKind = "map" | "prog" | "link";

/** What descriptors belong to that close with it. */
export interface Owner {
  readonly isClosed: boolean;
}

/**
 * Opens what is pinned at `path`; undefined when there is nothing.
 *
 * @throws BpfError when the kernel refuses
 * @throws Error when it is not of that kind
 */
export function openPinnedFd(path: string, kind: BpfKind): number | undefined {
  let fd: number;
  try {
    fd = callForNumber(`open ${path}`, (s) => s.bpf_obj_get(libc.cString(path)), {
      EPERM: "run mda as root, or with CAP_BPF",
      EACCES: "it belongs to another user, or is nothing that BPF has pinned",
      ENOTDIR: "name a directory with --pin-dir",
    });
  } catch (error) {
    if (error instanceof BpfError && error.code === "ENOENT") return undefined;
    throw error;
  }
  let found: BpfKind | undefined;
  try {
    found = kindOf(fd);
  } catch (error) {
    libc.close(fd);
    throw error;
  }
  if (found !== kind) {
    libc.close(fd);
    throw new Error(
      `Cannot use ${path} as a BPF ${kind}: it is a BPF ${found ?? "object of an unknown kind"}`,
    );
  }
  return fd;
}

// BPF_OBJ_GET_INFO_BY_FD does not say of what the descriptor is; every kind has its own lines in fdinfo.
function kindOf(fd: number): BpfKind | undefined {
  const text = Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`);
  return (["map", "prog", "link"] as const).find((kind) => text.includes(`\n${kind}_type:`));
}

/** Removes a pin; nothing happens when there is none. */
export function unpin(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Closes a descriptor that is not yet closed (negative). */
export function closeFd(fd: number): void {
  if (fd >= 0) libc.close(fd);
}

/** A map or a program, by a descriptor of it. */
export abstract class Handle implements Disposable {
  abstract readonly info: { name: string };
  readonly #kind: "map" | "program";
  readonly #owner: Owner | undefined;
  #fd: number;

  /** @param owner what closes the descriptor, when it is not this handle's own */
  constructor(kind: "map" | "program", fd: number, owner: Owner | undefined) {
    this.#kind = kind;
    this.#fd = fd;
    this.#owner = owner;
  }

  get fd(): number {
    if (this.#fd < 0 || this.#owner?.isClosed) {
      throw new Error(`Cannot use ${this.#kind} ${this.info.name}: it is closed`);
    }
    return this.#fd;
  }

  /** Makes it outlive its users, under `path` on a bpffs. */
  pin(path: string): void {
    callForNumber(
      `pin ${this.#kind} ${this.info.name} at ${path}`,
      (s) => s.bpf_obj_pin(this.fd, libc.cString(path)),
    );
  }

  /** Removes the pin; who uses it keeps it. */
  unpin(path: string): void {
    unpin(path);
  }

  /** Closes the descriptor; one that belongs to a {@link BpfObject} is closed with that. */
  close(): void {
    if (this.#owner) return;
    closeFd(this.#fd);
    this.#fd = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
