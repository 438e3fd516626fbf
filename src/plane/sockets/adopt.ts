import { setTimeout as sleep } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import { enums, layouts } from "../../generated/layouts.ts";
import { BPF_NOEXIST } from "../../libbpf/map.ts";
import { BpfError } from "../../libbpf/errors.ts";
import type { BpfObject } from "../../libbpf/object.ts";
import { readU64, u64, writeStruct } from "../../libbpf/struct.ts";
import type { UnknownPrograms } from "../../config/unknown.ts";
import { isShortage } from "../../host/descriptors.ts";
import { SystemError } from "../../host/libc/errno.ts";
import * as libc from "../../host/libc/mod.ts";
import { obstacleToOthersSockets } from "../../host/reach.ts";
import { isRedirecting } from "../../state/control.ts";
import { useForeignSocket } from "./foreign_socket.ts";
import { keyOf } from "../../state/member.ts";
import { wakeStuck } from "./memory.ts";
import {
  type Connection,
  findClosed,
  findConnections,
  findMembers,
  findStuck,
  scanDescriptors,
  type ScannedSocket,
} from "./scan.ts";
import { releaseSome } from "./release.ts";

const log = getLogger("mda");

const { ACCELERATE } = enums.decision;
const { HABIT_UNKNOWN, HABIT_RECEIVES } = enums.habit;
const { LEAVE_BULK, LEAVE_WITH_PEER, LEAVE_BY_RULE, LEAVE_BLOCKING, LEAVE_WITHOUT_MEMORY } = enums.leave;
const { SCANNED_CONNECTED, SCANNED_MEMBER } = enums.scanned_kind;

/** Thousands of connections take their time, in which others have things to do as well. */
const SLICE_MS = 20;
/** Half of what makes a socket leave (BULK_BYTES, bpf/bulk.h), so that nothing goes in and out. */
const SMALL_BYTES = 12 * 1024;
/** Of a connection that has left as bulk, as many messages at least tell what it sends now. */
const SEGMENTS_MIN = 8;
/** Segments shorter than this part of the largest possible end with a message. */
const WHOLE_SEGMENT = 0.75;

export interface Adoption {
  /** Connections that were put into the sockhash. */
  adopted: number;
  /** Connections that the rules do not let in any more, and that leave; only when they were looked at. */
  leaving: number;
  /** Connections that could enter if it were known how the programs at their ends receive. */
  unknown: number;
  /** Whether there was no room for more. */
  full: boolean;
  /** What kept this process from sockets of others, in words. */
  obstacle?: string;
  /** What there were no descriptors for: some connections were not looked at. */
  shortage?: Error;
}

export interface AdoptOptions {
  reapply: boolean;
  allSockets: boolean;
  unknownPrograms: UnknownPrograms;
  signal?: AbortSignal;
}

/**
 * Puts the connections that are there into the sockhash: those that the rules let in, with both ends in non-blocking mode
 * and open in a process that can be seen. See bpf/adopt.h.
 *
 * @param reapply also makes those leave that the rules do not let in any more
 * @param allSockets sockets in blocking mode may be inside
 * @param unknownPrograms what becomes of programs of which it is not known how they receive
 * @param signal ends it early
 */
export async function adoptConnections(
  object: BpfObject,
  { reapply, allSockets, unknownPrograms, signal }: AdoptOptions,
): Promise<Adoption> {
  const result: Adoption = {
    adopted: 0,
    leaving: 0,
    unknown: 0,
    full: false,
    obstacle: obstacleToOthersSockets(),
  };
  const scan = scanDescriptors(object, { members: reapply });
  const enters = isRedirecting(object.map("control"));
  using processes = new Processes();
  let pause = performance.now() + SLICE_MS;
  for (const connection of findConnections(scan)) {
    if (performance.now() > pause) {
      await sleep(0);
      pause = performance.now() + SLICE_MS;
    }
    if (signal?.aborted) break;
    const { client, server, behindMptcp } = connection;
    if (client.kind === SCANNED_CONNECTED && server.kind === SCANNED_CONNECTED) {
      if (!enters || result.full || result.shortage || behindMptcp || !canServe(client, server)) continue;
      if (!pays(client, server) || !judge(object, connection)) continue;
      if (unknownPrograms !== "fast" && !areKnown(client, server)) {
        result.unknown++;
        continue;
      }
      try {
        if (join(object, connection, processes)) result.adopted++;
      } catch (error) {
        if (!(error instanceof SystemError || error instanceof BpfError)) throw error;
        if (error.code === "E2BIG") result.full = true;
        else if (isShortage(error)) result.shortage = error;
        else if (error.code === "EPERM") result.obstacle ??= error.message;
        else log.debug(`not adopted: ${error.message}`);
      }
    } else if (reapply && client.kind === SCANNED_MEMBER && server.kind === SCANNED_MEMBER) {
      if (!judge(object, connection) && askToLeave(object, client.cookie << 1n, LEAVE_BY_RULE)) {
        result.leaving++;
      }
    }
  }
  if (!allSockets) askBlockingToLeave(object, findMembers(scan));
  releaseClosed(object, findClosed(scan));
  releaseStuck(object, findStuck(scan));
  return result;
}

/** How long programs are watched by who does not stay. */
const LEARN_MS = 2000;
const LEARN_STEP_MS = 100;

/**
 * As adoptConnections(), for commands that end: looks again for a while, as long as connections wait for their programs to be
 * known.
 */
export async function adoptOnceKnown(object: BpfObject, options: AdoptOptions): Promise<Adoption> {
  const end = performance.now() + LEARN_MS;
  const all = await adoptConnections(object, options);
  while (all.unknown > 0 && performance.now() < end) {
    await sleep(LEARN_STEP_MS);
    const { adopted, unknown, full } = await adoptConnections(object, { ...options, reapply: false });
    all.adopted += adopted;
    all.unknown = unknown;
    all.full ||= full;
  }
  return all;
}

/** Sockets that were switched to blocking mode leave before somebody waits in vain. */
function askBlockingToLeave(object: BpfObject, members: ScannedSocket[]): void {
  const blocking = new Set(members.filter(({ blocking }) => blocking).map(({ cookie }) => cookie));
  if (blocking.size === 0) return;
  const sockets = object.map("sockets");
  for (const key of sockets.keys()) {
    const cookie = sockets.lookup(key);
    if (cookie && blocking.has(readU64(cookie))) askToLeave(object, readU64(key) & ~1n, LEAVE_BLOCKING);
  }
}

/** Sockets whose programs wait in vain until they can send (bpf/memory.h): outside of the sockhash they can. */
function releaseStuck(object: BpfObject, stuck: ScannedSocket[]): void {
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
function releaseClosed(object: BpfObject, closed: ScannedSocket[]): void {
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

/** Whether the programs at both ends use their sockets in ways that sockmap can serve, as far as is known. */
function canServe(...ends: ScannedSocket[]): boolean {
  return ends.every(({ habit }) => habit <= HABIT_RECEIVES);
}

function areKnown(...ends: ScannedSocket[]): boolean {
  return ends.every(({ habit }) => habit !== HABIT_UNKNOWN);
}

/** Whether a connection that has left as bulk sends small messages now. */
function pays(client: ScannedSocket, server: ScannedSocket): boolean {
  const bulk = [client, server].some(({ left }) => left === LEAVE_BULK) ||
    // The end that knows more has been forgotten.
    [client, server].every(({ left }) => left === LEAVE_WITH_PEER || left === 0) &&
      client.left + server.left > 0;
  if (!bulk) return true;
  return client.recent_segments + server.recent_segments >= SEGMENTS_MIN &&
    messageBytes(client, server) < SMALL_BYTES && messageBytes(server, client) < SMALL_BYTES;
}

/** The mean of a socket's last messages, as far as segments tell; 0 when it sent none. */
function messageBytes(sender: ScannedSocket, answerer: ScannedSocket): number {
  if (sender.recent_segments === 0) return 0;
  if (isShort(sender)) return sender.recent_bytes / sender.recent_segments;
  // Whole segments are parts of longer messages. If the other end sends short ones, these are its answers.
  if (isShort(answerer) && answerer.recent_segments > 0) {
    return sender.recent_bytes / answerer.recent_segments;
  }
  return Infinity;
}

function isShort({ recent_bytes, recent_segments, mss }: ScannedSocket): boolean {
  return recent_bytes < recent_segments * mss * WHOLE_SEGMENT;
}

function judge(object: BpfObject, { client, server, listener }: Connection): boolean {
  const packet = writeStruct(layouts, "adoption", {
    connection: {
      client: [client.local, server.remote],
      server: [client.remote, server.local],
      client_owner: client.owner,
      server_owner: (listener ?? server).owner,
    },
  });
  return object.program("judge").runOn(packet) === ACCELERATE;
}

/** Makes a connection leave the sockhash, for a reason of enum leave; false when it is not there. */
export function askToLeave(object: BpfObject, clientKey: bigint, why: number): boolean {
  const packet = writeStruct(layouts, "adoption", { client_key: clientKey, argument: why });
  return object.program("ask_to_leave").runOn(packet) === 1;
}

/**
 * False when an end has gone meanwhile.
 *
 * @throws SystemError or BpfError: E2BIG when there is no room, EPERM when an end's process is out of reach
 */
function join(object: BpfObject, { client, server }: Connection, processes: Processes): boolean {
  const sockets = object.map("sockets");
  const fds: number[] = [];
  const inside: Uint8Array<ArrayBuffer>[] = [];
  let joined = false;
  try {
    const ends = [client, server].map((end) => {
      const fd = processes.copyDescriptor(end);
      fds.push(fd);
      return { fd, cookie: libc.getSocketOption(fd, libc.SOL_SOCKET, libc.SO_COOKIE) };
    });
    const clientKey = ends[0].cookie << 1n;
    ends.forEach(({ fd }, index) => {
      const key = u64(clientKey | BigInt(index));
      sockets.update(key, u64(fd), BPF_NOEXIST);
      inside.push(key);
    });
    const packet = writeStruct(layouts, "adoption", {
      client_key: clientKey,
      client_cookie: ends[0].cookie,
      server_cookie: ends[1].cookie,
      client_executable: client.executable,
      server_executable: server.executable,
      connection: { server: [client.remote, server.local] },
    });
    joined = object.program("join").runOn(packet) === 1;
  } finally {
    fds.forEach(libc.close);
    if (!joined) { for (const key of inside) sockets.delete(key); }
  }
  return joined;
}

/** So many processes are kept open. */
const PROCESSES_MAX = 32;

/** Processes whose descriptors are copied: each is opened once, unless there are many. */
class Processes implements Disposable {
  readonly #pidfds = new Map<number, number>();

  copyDescriptor(end: ScannedSocket): number {
    try {
      return this.#copy(end);
    } catch (error) {
      if (!isShortage(error) || this.#pidfds.size === 0) throw error;
      this[Symbol.dispose]();
      return this.#copy(end);
    }
  }

  #copy({ pid, fd }: ScannedSocket): number {
    let pidfd = this.#pidfds.get(pid);
    if (pidfd === undefined) {
      if (this.#pidfds.size >= PROCESSES_MAX) this[Symbol.dispose]();
      pidfd = libc.openProcess(pid);
      this.#pidfds.set(pid, pidfd);
    }
    return libc.copyDescriptor(pidfd, fd);
  }

  [Symbol.dispose](): void {
    for (const pidfd of this.#pidfds.values()) libc.close(pidfd);
    this.#pidfds.clear();
  }
}
