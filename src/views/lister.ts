import objectBytes from "../../build/mda_without_casts.bpf.o" with { type: "bytes" };
import { load } from "../checks/load.ts";
import { layouts } from "../generated/layouts.ts";
import type { BpfObject } from "../libbpf/object.ts";
import { openObject } from "../libbpf/object.ts";
import type { StructValue } from "../libbpf/struct.ts";
import { structViewer, viewStructs } from "../libbpf/struct_view.ts";
import { openMaps } from "../state/pins.ts";

/** A TCP socket and a process that has it: see bpf/list.h. */
export type ListedSocket = StructValue<typeof layouts, "listed_socket">;

/** What the data plane has of a socket that has entered: see bpf/list.h. */
export type ListedLane = StructValue<typeof layouts, "listed_lane">;

/** Looks at the sockets of this host, and at what the data plane of a pin directory has of them. Changes nothing. */
export class Lister implements Disposable {
  readonly object: BpfObject;

  /**
   * @param more programs of the data plane that are to be had besides
   * @throws Error when the kernel refuses it, or this process may not
   */
  constructor(pinDir: string, more: readonly string[] = []) {
    const maps = openMaps(pinDir);
    try {
      // What it reads is read once: the object that reads with calls is for all kernels, and none has to be tried.
      this.object = openObject(objectBytes, "mda", {
        only: ["list_sockets", "list_lanes", ...more],
        reuse: maps,
      });
    } finally {
      for (const map of Object.values(maps)) map.close();
    }
    try {
      load(this.object);
    } catch (error) {
      this.object.close();
      throw error;
    }
  }

  /**
   * Every TCP socket that a process has which can be seen from here, once: with the first of its descriptors, which is of who has had
   * it the longest, most often.
   *
   * @param inside only those that are in a sockmap, of whomever
   */
  sockets({ inside }: { inside: boolean } = { inside: false }): ListedSocket[] {
    const bytes = this.object.program("list_sockets").iterate();
    const { size, fields } = layouts.listed_socket;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const socketAt = structViewer(layouts, "listed_socket", bytes);
    const seen = new Set<bigint>();
    const found: ListedSocket[] = [];
    for (let at = 0; at + size <= bytes.length; at += size) {
      // Most are not wanted.
      if (inside && bytes[at + fields.in_sockmap.offset] === 0) continue;
      const socket = view.getBigUint64(at + fields.sock.offset, true);
      if (seen.has(socket)) continue;
      seen.add(socket);
      found.push(socketAt(at));
    }
    return found;
  }

  /** Every socket that has entered and is open, also of processes that cannot be seen. */
  lanes(): ListedLane[] {
    return viewStructs(
      layouts,
      "listed_lane",
      this.object.program("list_lanes").iterate(this.object.map("lanes")),
    );
  }

  /** A map of the data plane. */
  map(name: Parameters<BpfObject["map"]>[0]): ReturnType<BpfObject["map"]> {
    return this.object.map(name);
  }

  [Symbol.dispose](): void {
    this.object.close();
  }
}
