import { enums, layouts } from "../../generated/layouts.ts";
import { readStruct, readU32, readU64, writeStruct } from "../../libbpf/struct.ts";
import { isShortage } from "../../host/descriptors.ts";
import * as libc from "../../host/libc/mod.ts";
import { useForeignSocket } from "./foreign_socket.ts";
import type { BpfObject } from "../../libbpf/object.ts";

const { EDGE_AT_ONCE } = enums.edge_time;

/**
 * Looks after readers that were full, so that some of their bytes went through TCP while redirected ones were unread: once
 * those are read, such a reader gets an edge, for it may not know that TCP has more (bpf/edges.h).
 *
 * @returns false when readers are still behind and none could be helped, so that there is time until the next look
 * @throws Error when a reader could not be reached, after the others were helped; for want of descriptors it is tried again at the
 *   next call
 */
export function makeEdges(object: BpfObject): boolean {
  const wanted = object.map("edges_wanted"), readers = object.map("readers");
  for (const cookie of wanted.keys()) {
    const how = wanted.lookup(cookie);
    const at_once = Number(how !== undefined && readU32(how) === EDGE_AT_ONCE);
    readers.update(cookie, writeStruct(layouts, "reader", { at_once }));
    // Whoever fills up again from here on is noted again.
    wanted.delete(cookie);
  }
  const cookies = [...readers.keys()];
  if (cookies.length === 0) return true;
  object.program("find_readers").iterate();
  let made = 0, failed: unknown;
  for (const cookie of cookies) {
    const { pid, fd, unread_bytes, at_once } = readStruct(layouts, "reader", readers.lookup(cookie)!);
    if (unread_bytes > 0n && !at_once) continue;
    try {
      if (pid !== 0 && useForeignSocket({ pid, fd, cookie: readU64(cookie) }, makeEdge)) made++;
    } catch (error) {
      if (failed === undefined || isShortage(failed)) failed = error;
      // It can be helped when there are descriptors.
      if (isShortage(error)) continue;
    }
    // Not before: the next mda makes the edge when this one is killed here.
    readers.delete(cookie);
  }
  if (failed) throw failed;
  return made > 0;
}

/** Whether there are readers that may still need an edge. */
export function someAreBehind(object: Pick<BpfObject, "map">): boolean {
  return ["edges_wanted", "readers"].some((name) => !object.map(name).keys().next().done);
}

/** Makes an edge at a socket: tcp_set_rcvlowat() ends with tcp_data_ready(). */
export function makeEdge(fd: number): void {
  const lowat = Number(libc.getSocketOption(fd, libc.SOL_SOCKET, libc.SO_RCVLOWAT));
  libc.setSocketOption(fd, libc.SOL_SOCKET, libc.SO_RCVLOWAT, lowat);
}
