import { getLogger } from "@logtape/logtape";
import { layouts } from "../../generated/layouts.ts";
import { BpfError } from "../../libbpf/errors.ts";
import { readStruct, readU64, type StructValue, writeStruct } from "../../libbpf/struct.ts";
import { isShortage } from "../../host/descriptors.ts";
import * as libc from "../../host/libc/mod.ts";
import { useForeignSocket } from "./foreign_socket.ts";
import type { BpfObject } from "../../libbpf/object.ts";

const log = getLogger("mda");

type Bytes = Uint8Array<ArrayBuffer>;
type Reader = StructValue<typeof layouts, "reader">;

/** Where readers were last seen, by cookie. */
export type Places = Map<bigint, { pid: number; fd: number }>;

/**
 * Looks after readers that were full, so that some of their bytes went through TCP while redirected ones were unread: once
 * those are read, such a reader gets an edge, for it may not know that TCP has more (bpf/edges.h).
 *
 * @param places is told where they are
 * @returns false when readers are still behind and none could be helped, so that there is time until the next look
 * @throws Error when a reader could not be reached, after the others were helped; for want of descriptors it is tried again at the
 *   next call
 */
export function makeEdges(object: BpfObject, places?: Places): boolean {
  const readers = object.map("readers");
  noteWanted(object);
  const cookies = [...readers.keys()];
  if (cookies.length === 0) return true;
  let made = 0, failed: unknown;
  for (const { cookie, pid, fd, unread_bytes, at_once, lives } of look(object, cookies)) {
    if (pid !== 0) places?.set(readU64(cookie), { pid, fd });
    if (pid === 0 ? lives : unread_bytes > 0n && !at_once) continue;
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

/** Has those that want an edge looked for; as many as there is room for, the others by a later look. */
function noteWanted(object: BpfObject): void {
  const readers = object.map("readers");
  let room: number | undefined;
  for (const [name, at_once] of [["edges_wanted", 0], ["edges_at_once", 1]] as const) {
    const wanted = object.map(name);
    for (const cookie of wanted.keys()) {
      room ??= readers.info.maxEntries - [...readers.keys()].length;
      if (room-- <= 0) return;
      readers.update(cookie, writeStruct(layouts, "reader", { at_once }));
      // Whoever fills up again from here on is noted again.
      wanted.delete(cookie);
    }
  }
}

/** Where readers are now, and how much they have unread. */
function look(object: BpfObject, cookies: Bytes[]): (Reader & { cookie: Bytes })[] {
  const readers = object.map("readers");
  const readOne = (cookie: Bytes) => readStruct(layouts, "reader", readers.lookup(cookie)!);
  // What an earlier look has found may be closed since.
  for (const cookie of cookies) {
    readers.update(cookie, writeStruct(layouts, "reader", { at_once: readOne(cookie).at_once }));
  }
  object.program("find_readers").iterate();
  if (cookies.some((cookie) => readOne(cookie).pid === 0)) {
    try {
      object.program("find_living").iterate(object.map("lanes"));
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      log.debug(`readers that nobody has accepted are not known: ${error.message}`);
    }
  }
  return cookies.map((cookie) => ({ cookie, ...readOne(cookie) }));
}

/** Whether there are readers that may still need an edge. */
export function someAreBehind(object: Pick<BpfObject, "map">): boolean {
  return ["edges_wanted", "edges_at_once", "readers"].some((name) => !object.map(name).keys().next().done);
}

/** Makes an edge at a socket: tcp_set_rcvlowat() ends with tcp_data_ready(). */
export function makeEdge(fd: number): void {
  const lowat = Number(libc.getSocketOption(fd, libc.SOL_SOCKET, libc.SO_RCVLOWAT));
  libc.setSocketOption(fd, libc.SOL_SOCKET, libc.SO_RCVLOWAT, lowat);
}
