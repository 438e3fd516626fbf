import { getLogger } from "@logtape/logtape";
import { enums, layouts } from "../bpf/layouts.ts";
import type { BpfObject } from "../bpf/object.ts";
import { RingBuffer } from "../bpf/ring_buffer.ts";
import { readStruct, type StructValue, u64 } from "../bpf/struct.ts";
import { descriptorOfSocket } from "../host/process.ts";
import { dismiss } from "./adopt.ts";
import { makeEdge } from "./edges.ts";
import { useForeignSocket } from "./foreign_socket.ts";
import { keyOf } from "./member.ts";
import { sweep, takeOut } from "./sweep.ts";

const log = getLogger("mda");

/** How soon again, and how long, while a socket cannot leave because something redirected is unread. */
const AGAIN_MS = 1;
const TRY_MS = 10_000;
/** A peer is in a send now and then, for some microseconds. */
const SWEEPS = 8;

const { EVENT_PROGRAM, EVENT_RESET } = enums.event_kind;

type Event = StructValue<typeof layouts, "event">;

/**
 * Does what cannot wait until somebody looks. Readers that were told by FIONREAD that there is less than there is
 * (bpf/habits.h) may wait for an edge that does not come: their sockets are taken out at once, where nothing redirected is unread,
 * and get an edge; else an edge again and again until they have read what is there. Sockets that were reset, and have no
 * callback to leave by, are taken out (bpf/closed.h).
 *
 * @param programSeen is called when there is a program whose code is to be looked at; its process may not last long
 * @param signal ends it
 */
export async function handleEvents(
  object: BpfObject,
  programSeen: () => void,
  signal: AbortSignal,
): Promise<void> {
  let seen = false;
  let reset: bigint[] = [];
  const waiting = new Map<bigint, { reader: Event; until: number }>();
  using records = new RingBuffer(object.map("events"), (bytes) => {
    const event = readStruct(layouts, "event", bytes);
    if (event.kind === EVENT_PROGRAM) seen = true;
    else if (event.kind === EVENT_RESET) reset.push(event.cookie);
    else waiting.set(event.cookie, { reader: event, until: performance.now() + TRY_MS });
  });
  signal.addEventListener("abort", () => records.wake());
  if (signal.aborted) return;
  while (await records.next()) {
    if (reset.length > 0) takeOut(object, reset);
    reset = [];
    if (seen) programSeen();
    seen = false;
    while (waiting.size > 0 && !signal.aborted) {
      for (const [cookie, { reader, until }] of waiting) {
        if (help(object, reader) || performance.now() > until) waiting.delete(cookie);
      }
      if (waiting.size > 0) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

/** Returns whether there is nothing left to do. */
function help(object: BpfObject, { cookie, inode, pid, fd }: Event): boolean {
  const found = fd >= 0 ? fd : descriptorOfSocket(pid, inode);
  if (found === undefined) return true;
  let left = true;
  try {
    useForeignSocket({ cookie, pid, fd: found }, (copy) => {
      left = makeLeave(object, copy);
      makeEdge(copy);
    });
  } catch (error) {
    log.warn(`${(error as Error).message}; a program that asks how much it can read may wait for bytes`);
  }
  return left;
}

/** Returns whether the socket is outside of the sockhash. */
function makeLeave(object: BpfObject, fd: number): boolean {
  const sockets = object.map("sockets");
  const key = keyOf(object, fd);
  if (key === undefined) return true;
  if (!dismiss(object, key & ~1n, enums.leave.LEAVE_BY_HABIT)) return sockets.lookup(u64(key)) === undefined;
  let left = [u64(key), u64(key ^ 1n)];
  for (let time = 0; time < SWEEPS && left.length > 0; time++) {
    left = sweep(sockets, object.program("drain"), left);
  }
  return sockets.lookup(u64(key)) === undefined;
}
