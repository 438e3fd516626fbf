import { getLogger } from "@logtape/logtape";
import { enums, layouts } from "../../generated/layouts.ts";
import { SystemError } from "../../host/libc/errno.ts";
import type { BpfObject } from "../../libbpf/object.ts";
import { writeStruct } from "../../libbpf/struct.ts";
import { keyOf } from "../../state/member.ts";
import { useForeignSocket } from "./foreign_socket.ts";
import { wakeStuck } from "./memory.ts";
import { releaseSome } from "./release.ts";
import type { ScannedSocket } from "./scan.ts";

const log = getLogger("mda");

const { LEAVE_BLOCKING, LEAVE_WITHOUT_MEMORY } = enums.leave;

/** Makes a connection leave the sockhash, for a reason of enum leave; false when it is not there. */
export function askToLeave(object: BpfObject, clientKey: bigint, why: number): boolean {
  const packet = writeStruct(layouts, "adoption", { client_key: clientKey, argument: why });
  return object.program("ask_to_leave").runOn(packet) === 1;
}

/** Sockets that were switched to blocking mode leave before somebody waits in vain. */
export function askBlockingToLeave(object: BpfObject, members: ScannedSocket[]): void {
  const blocking = new Set(members.filter(({ blocking }) => blocking).map(({ cookie }) => cookie));
  if (blocking.size === 0) return;
  const sockets = object.map("sockets");
  for (const key of sockets.keys()) {
    const cookie = sockets.lookup(key);
    if (cookie && blocking.has(number(cookie))) askToLeave(object, number(key) & ~1n, LEAVE_BLOCKING);
  }
}

/** Sockets whose programs wait in vain until they can send (bpf/memory.h): outside of the sockhash they can. */
export function releaseStuck(object: BpfObject, stuck: ScannedSocket[]): void {
  for (const end of stuck) {
    try {
      useForeignSocket(end, (copy) => {
        const key = keyOf(object, copy);
        if (key === undefined || !askToLeave(object, key & ~1n, LEAVE_WITHOUT_MEMORY)) return;
        releaseSome(object, [key, key ^ 1n]);
      });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      log.debug(`not released: ${error.message}`);
    }
  }
  wakeStuck(stuck);
}

/** Sockets that were shut down or reset, and had no callback to leave by (bpf/resets.h). */
export function releaseClosed(object: BpfObject, closed: ScannedSocket[]): void {
  for (const end of closed) {
    try {
      useForeignSocket(end, (copy) => {
        const key = keyOf(object, copy);
        if (key !== undefined) releaseSome(object, [key]);
      });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      log.debug(`not released: ${error.message}`);
    }
  }
}

function number(bytes: Uint8Array<ArrayBuffer>): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
}
