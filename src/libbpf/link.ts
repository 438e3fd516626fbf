import * as libc from "../host/libc/mod.ts";
import { abi } from "../generated/abi.ts";
import { callForNumber, callForPointer } from "./errors.ts";
import { closeFd, openPinnedFd } from "./handle.ts";
import { libbpf } from "./library.ts";
import { readStruct } from "./struct.ts";

export interface LinkInfo {
  id: number;
  /** enum bpf_link_type of linux/bpf.h. */
  type: number;
  programId: number;
  /** The inode number of the cgroup that a cgroup link is attached to; 0n once that cgroup is gone. */
  cgroupId: bigint;
}

/**
 * An attachment. It lasts while a descriptor or a pin holds it: closing the last one detaches. What is pinned
 * stays.
 */
export class BpfLink implements Disposable {
  #pointer: Deno.PointerValue;

  constructor(pointer: Deno.PointerObject) {
    this.#pointer = pointer;
  }

  /**
   * Opens the link pinned at `path`; undefined when nothing is there.
   *
   * @throws Error when it is no link, BpfError when the kernel refuses
   */
  static openPinned(path: string): BpfLink | undefined {
    // bpf_link__open takes any BPF object for a link.
    const fd = openPinnedFd(path, "link");
    if (fd === undefined) return undefined;
    libc.close(fd);
    return new BpfLink(callForPointer(`open link ${path}`, (s) => s.bpf_link__open(libc.cString(path))));
  }

  get fd(): number {
    return callForNumber("use a link", (s) => s.bpf_link__fd(this.#open()));
  }

  info(): LinkInfo {
    return linkInfo(this.fd);
  }

  /** Makes the link outlive this process, under `path` on a bpffs. */
  pin(path: string): void {
    callForNumber(`pin link at ${path}`, (s) => s.bpf_link__pin(this.#open(), libc.cString(path)));
  }

  /** Puts another program of the same type in the place of the one that is attached, at once. */
  update(program: { fd: number; info: { name: string } }): void {
    callForNumber(
      `attach program ${program.info.name} in the place of another`,
      (s) => s.bpf_link_update(this.fd, program.fd, null),
    );
  }

  /** Removes the pin that {@link pin} made or {@link openPinned} opened. */
  unpin(): void {
    callForNumber("remove the pin of a link", (s) => s.bpf_link__unpin(this.#open()));
  }

  /**
   * Detaches at once, pinned or not; the pin stays as a link to nothing until it is removed (5.9 and later).
   */
  detach(): void {
    callForNumber("detach a link", (s) => s.bpf_link__detach(this.#open()));
  }

  /** Lets go of the link: it is detached, unless a pin holds it. */
  close(): void {
    if (!this.#pointer) return;
    libbpf().bpf_link__destroy(this.#pointer);
    this.#pointer = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #open(): Deno.PointerObject {
    if (!this.#pointer) throw new Error("Cannot use a link: it is closed");
    return this.#pointer;
  }
}

/** A link to a perf event, for which libbpf has no handle of its own. */
export class EventLink implements Disposable {
  #fd: number;

  /** @param fd is closed with it */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Makes the link outlive this process, under `path` on a bpffs. */
  pin(path: string): void {
    callForNumber(`pin link at ${path}`, (s) => s.bpf_obj_pin(this.#fd, libc.cString(path)));
  }

  /** Lets go of the link: it is detached, unless a pin holds it. */
  close(): void {
    closeFd(this.#fd);
    this.#fd = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** What a link is, by a descriptor of it. */
export function linkInfo(fd: number): LinkInfo {
  const bytes = new Uint8Array(new ArrayBuffer(abi.bpf_link_info.size));
  const length = new Uint8Array(new Uint32Array([bytes.length]).buffer);
  callForNumber("describe a link", (s) => s.bpf_obj_get_info_by_fd(fd, bytes, length));
  const info = readStruct(abi, "bpf_link_info", bytes);
  return { id: info.id, type: info.type, programId: info.prog_id, cgroupId: info.cgroup.cgroup_id };
}
