import { setTimeout as sleep } from "node:timers/promises";
import { layouts } from "../../generated/layouts.ts";
import { SystemError } from "../../host/libc/errno.ts";
import { BpfError } from "../../libbpf/errors.ts";
import { readStruct, u64, writeStruct } from "../../libbpf/struct.ts";
import type { BpfObject } from "../../libbpf/object.ts";
import { makeEdge, makeEdges, type Places } from "../sockets/edges.ts";
import { useForeignSocket } from "../sockets/foreign_socket.ts";
import type { Shortage } from "./shortage.ts";

/** How soon a reader is looked at again; each time half as long again. */
const AGAIN_MS = 2;
const AGAIN_GROWS = 1.5;
/** After so long it is left to the common looks (heartbeat.ts). */
const TRY_MS = 1000;
/** Of so many at most in one go: the process has other things to do. */
const AT_ONCE_MAX = 64;
/** A look at all descriptors of the host takes a part of the time, no more than this. */
const LOOKS_SHARE = 1 / 20;
const LOOK_MS_MIN = 10;
/** Places that are remembered. */
const PLACES_MAX = 4096;

interface Waiting {
  /** In the sockhash. */
  key: bigint;
  until: number;
  next: number;
  wait: number;
}

/**
 * Wakes readers on edges (bpf/edges.h) as soon as they have read what was redirected, and not at the next common look, of which there
 * are ten a second at most: a sender whose buffers are full waits for them. Where a reader is, an earlier look has shown, or one look
 * for all that are not known.
 */
export class Behind {
  readonly #places: Places = new Map();
  readonly #waiting = new Map<bigint, Waiting>();
  #nextLook = 0;
  #round: Promise<void> | undefined;

  constructor(
    private readonly object: BpfObject,
    private readonly shortage: Shortage,
    private readonly signal: AbortSignal,
  ) {}

  /** A reader has come to need an edge. */
  add(cookie: bigint, key: bigint): void {
    const now = performance.now();
    this.#waiting.set(cookie, { key, until: now + TRY_MS, next: now, wait: AGAIN_MS });
    this.#round ??= this.#run();
  }

  /** What is under way when it has been aborted. */
  get ended(): Promise<void> {
    return this.#round ?? Promise.resolve();
  }

  async #run(): Promise<void> {
    while (this.#waiting.size > 0 && !this.signal.aborted) {
      try {
        this.#look();
        this.#tryAll();
      } catch (error) {
        if (!(error instanceof SystemError || error instanceof BpfError)) throw error;
        // The common looks say what is wrong, and try again.
        this.shortage.caused(error);
        this.#waiting.clear();
      }
      await sleep(AGAIN_MS);
    }
    this.#round = undefined;
  }

  /** Looks for those whose place is not known. */
  #look(): void {
    const began = performance.now();
    if (began < this.#nextLook || ![...this.#waiting.keys()].some((cookie) => !this.#places.has(cookie))) {
      return;
    }
    makeEdges(this.object, this.#places);
    for (const cookie of this.#places.keys()) {
      if (this.#places.size <= PLACES_MAX) break;
      this.#places.delete(cookie);
    }
    for (const cookie of this.#waiting.keys()) {
      // Nobody has it open, or it has been woken.
      if (!this.#places.has(cookie)) this.#waiting.delete(cookie);
    }
    const ended = performance.now();
    this.#nextLook = ended + Math.max(LOOK_MS_MIN, (ended - began) / LOOKS_SHARE);
  }

  #tryAll(): void {
    const now = performance.now();
    let tries = 0;
    for (const [cookie, waiting] of this.#waiting) {
      if (waiting.next > now || !this.#places.has(cookie)) continue;
      if (++tries > AT_ONCE_MAX) break;
      if (this.#wake(cookie, waiting.key) || now > waiting.until) {
        this.#waiting.delete(cookie);
        continue;
      }
      waiting.next = now + waiting.wait;
      waiting.wait *= AGAIN_GROWS;
    }
  }

  /** Returns whether there is nothing left to do. */
  #wake(cookie: bigint, key: bigint): boolean {
    const { object } = this;
    const place = this.#places.get(cookie)!, name = u64(cookie);
    if (isBehind(object, key)) return false;
    // As makeEdges() does: whoever fills up again from here on is noted again, and until the edge is made the next mda knows of it.
    object.map("readers").update(name, writeStruct(layouts, "reader", {}));
    object.map("edges_wanted").delete(name);
    if (isBehind(object, key)) return false;
    if (!useForeignSocket({ ...place, cookie }, makeEdge)) {
      this.#places.delete(cookie);
      return false;
    }
    object.map("readers").delete(name);
    return true;
  }
}

function isBehind(object: BpfObject, key: bigint): boolean {
  const packet = writeStruct(layouts, "behind", { key });
  object.program("count_behind").runOn(packet);
  return readStruct(layouts, "behind", packet).unread_bytes > 0n;
}
