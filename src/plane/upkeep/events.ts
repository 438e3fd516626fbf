import { setTimeout as sleep } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import { enums, layouts } from "../../generated/layouts.ts";
import type { BpfObject } from "../../libbpf/object.ts";
import { RingBuffer } from "../../libbpf/ring_buffer.ts";
import { readStruct, type StructValue, u64 } from "../../libbpf/struct.ts";
import { descriptorOfSocket } from "../../host/process.ts";
import { askToLeave } from "../sockets/leave.ts";
import { findPeersOfClosed, type PeerOfClosed, resetPeerOfClosed } from "../sockets/closing.ts";
import { makeEdge } from "../sockets/edges.ts";
import { useForeignSocket } from "../sockets/foreign_socket.ts";
import { keyOf } from "../../state/member.ts";
import type { Behind } from "./behind.ts";
import type { Shortage } from "./shortage.ts";
import { release, releaseSome } from "../sockets/release.ts";

const log = getLogger("mda");

/** How soon again, and how long, while a socket cannot leave because something redirected is unread. */
const AGAIN_MS = 1;
const TRY_MS = 10_000;
/** The same while a peer cannot be reset because it has not read all: after that the stream ends (bpf/closing.h). */
const RESET_AGAIN_MS = 10;
const RESET_TRY_MS = 1900;
/** A peer is in a send now and then, for some microseconds. */
const ROUNDS = 8;

const { EVENT_BEHIND, EVENT_PROGRAM, EVENT_CLOSED_UNREAD, EVENT_RESET } = enums.event_kind;

type Event = StructValue<typeof layouts, "event">;

/**
 * Does what cannot wait until somebody looks. Readers that were told by FIONREAD that there is less than there is
 * (bpf/fionread.h) may wait for an edge that does not come: their sockets are released at once, where nothing redirected is unread,
 * and get an edge; else an edge again and again until they have read what is there. Sockets that were reset, and have no
 * callback to leave by, are released (bpf/resets.h). And peers of ends that were closed with redirected bytes unread are to see a
 * reset (bpf/closing.h).
 *
 * @param programSeen is called when there is a program whose code is to be looked at; its process may not last long
 * @param behind is told of readers that need an edge
 * @param shortage is told when there are no descriptors: what needs some is tried again
 * @param signal ends it
 */
export async function handleEvents(
  object: BpfObject,
  programSeen: () => void,
  behind: Pick<Behind, "add"> | undefined,
  shortage: Shortage,
  signal: AbortSignal,
): Promise<void> {
  let seen = false;
  let asked: Event[] = [], closed: bigint[] = [], reset: bigint[] = [];
  const miscounted = new Attempts(
    (reader: Event) => help(object, reader, shortage),
    AGAIN_MS,
    () => shortage.lasts ? Infinity : TRY_MS,
    signal,
  );
  const cutShort = new Attempts(
    (peer: Wanted) => resetPeer(object, peer, shortage),
    RESET_AGAIN_MS,
    () => RESET_TRY_MS,
    signal,
  );
  using records = new RingBuffer(object.map("events"), (bytes) => {
    const event = readStruct(layouts, "event", bytes);
    if (event.kind === EVENT_PROGRAM) seen = true;
    else if (event.kind === EVENT_BEHIND) behind?.add(event.cookie, event.inode);
    else if (event.kind === EVENT_CLOSED_UNREAD) closed.push(event.cookie);
    else if (event.kind === EVENT_RESET) reset.push(event.cookie);
    else asked.push(event);
  });
  signal.addEventListener("abort", () => records.wake());
  if (signal.aborted) return;
  while (await records.next()) {
    if (reset.length > 0) releaseSome(object, reset);
    for (const reader of asked) miscounted.add(reader.cookie, reader);
    for (const peer of findClosed(object, closed, shortage)) cutShort.add(peer.cookie, peer);
    asked = [];
    closed = [];
    reset = [];
    if (seen) programSeen();
    seen = false;
  }
  await miscounted.ended;
  await cutShort.ended;
}

/** Tries again and again what cannot be done at once. */
class Attempts<Subject> {
  readonly #waiting = new Map<bigint, { subject: Subject; since: number }>();
  #round: Promise<void> | undefined;

  /** @param attempt returns whether there is nothing left to do */
  constructor(
    private readonly attempt: (subject: Subject) => boolean,
    private readonly againMs: number,
    private readonly tryMs: () => number,
    private readonly signal: AbortSignal,
  ) {}

  /** What is under way when it has been aborted. */
  get ended(): Promise<void> {
    return this.#round ?? Promise.resolve();
  }

  add(cookie: bigint, subject: Subject): void {
    if (this.attempt(subject)) return;
    this.#waiting.set(cookie, { subject, since: performance.now() });
    this.#round ??= this.#again();
  }

  async #again(): Promise<void> {
    while (this.#waiting.size > 0 && !this.signal.aborted) {
      await sleep(this.againMs);
      for (const [cookie, { subject, since }] of this.#waiting) {
        if (this.attempt(subject) || performance.now() > since + this.tryMs()) this.#waiting.delete(cookie);
      }
    }
    this.#round = undefined;
  }
}

/** A peer that is to see a reset, and where it is when that is known. */
interface Wanted {
  cookie: bigint;
  peer?: PeerOfClosed;
}

function findClosed(object: BpfObject, cookies: bigint[], shortage: Shortage): Wanted[] {
  try {
    return findPeersOfClosed(object, cookies).map((peer) => ({ cookie: peer.cookie, peer }));
  } catch (error) {
    if (shortage.caused(error)) return cookies.map((cookie) => ({ cookie }));
    log.warn(`${(error as Error).message}; ${takenForWhole}`);
    return [];
  }
}

function resetPeer(object: BpfObject, wanted: Wanted, shortage: Shortage): boolean {
  try {
    wanted.peer ??= findPeersOfClosed(object, [wanted.cookie])[0];
    return !wanted.peer || resetPeerOfClosed(object, wanted.peer);
  } catch (error) {
    if (shortage.caused(error)) return false;
    log.warn(`${(error as Error).message}; ${takenForWhole}`);
    return true;
  }
}

const takenForWhole = "a program may take for whole what its peer has cut short";

/** Returns whether there is nothing left to do. */
function help(object: BpfObject, { cookie, inode, pid, fd }: Event, shortage: Shortage): boolean {
  let left = true;
  try {
    const found = fd >= 0 ? fd : descriptorOfSocket(pid, inode);
    if (found === undefined) return true;
    useForeignSocket({ cookie, pid, fd: found }, (copy) => {
      left = makeLeave(object, copy);
      makeEdge(copy);
    });
  } catch (error) {
    if (shortage.caused(error)) return false;
    log.warn(`${(error as Error).message}; a program that asks how much it can read may wait for bytes`);
  }
  return left;
}

/** Returns whether the socket is outside of the sockhash. */
function makeLeave(object: BpfObject, fd: number): boolean {
  const sockets = object.map("sockets");
  const key = keyOf(object, fd);
  if (key === undefined) return true;
  if (!askToLeave(object, key & ~1n, enums.leave.LEAVE_BY_HABIT)) {
    return sockets.lookup(u64(key)) === undefined;
  }
  let left = [u64(key), u64(key ^ 1n)];
  for (let time = 0; time < ROUNDS && left.length > 0; time++) {
    left = release(sockets, object.program("drain"), left);
  }
  return sockets.lookup(u64(key)) === undefined;
}
