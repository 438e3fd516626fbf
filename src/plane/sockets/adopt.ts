import { getLogger } from "@logtape/logtape";
import { enums, layouts } from "../../generated/layouts.ts";
import { BpfError } from "../../libbpf/errors.ts";
import type { BpfObject } from "../../libbpf/object.ts";
import { writeStruct } from "../../libbpf/struct.ts";
import type { UnknownPrograms } from "../../config/unknown.ts";
import { RULES_MAX } from "../../rules/rules.ts";
import { isShortage } from "../../host/descriptors.ts";
import { SystemError } from "../../host/libc/errno.ts";
import { obstacleToOthersSockets } from "../../host/reach.ts";
import { isRedirecting } from "../../state/control.ts";
import {
  type Connection,
  findClosed,
  findConnections,
  findMembers,
  findStuck,
  scanDescriptors,
} from "./scan.ts";
import { join, Processes } from "./join.ts";
import { askBlockingToLeave, askToLeave, releaseClosed, releaseStuck } from "./leave.ts";
import { areKnown, canServe, pays } from "./pays.ts";

const log = getLogger("mda");

const { ACCELERATE } = enums.decision;
const { LEAVE_BY_RULE } = enums.leave;
const { SCANNED_CONNECTED, SCANNED_MEMBER } = enums.scanned_kind;

/** Thousands of connections take their time, in which others have things to do as well. */
const SLICE_MS = 20;
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
      await new Promise((resolve) => setTimeout(resolve, 0));
      pause = performance.now() + SLICE_MS;
    }
    if (signal?.aborted) break;
    const { client, server, behindMptcp } = connection;
    if (client.kind === SCANNED_CONNECTED && server.kind === SCANNED_CONNECTED) {
      if (!enters || result.full || result.shortage || behindMptcp || !canServe(client, server)) continue;
      const rule = pays(client, server) ? judge(object, connection) : undefined;
      if (rule === undefined) continue;
      if (unknownPrograms !== "fast" && !areKnown(client, server)) {
        result.unknown++;
        continue;
      }
      try {
        if (join(object, connection, processes, rule)) result.adopted++;
      } catch (error) {
        if (!(error instanceof SystemError || error instanceof BpfError)) throw error;
        if (error.code === "E2BIG") result.full = true;
        else if (isShortage(error)) result.shortage = error;
        else if (error.code === "EPERM") result.obstacle ??= error.message;
        else log.debug(`not adopted: ${error.message}`);
      }
    } else if (reapply && client.kind === SCANNED_MEMBER && server.kind === SCANNED_MEMBER) {
      if (judge(object, connection) !== undefined) continue;
      if (askToLeave(object, client.cookie << 1n, LEAVE_BY_RULE)) result.leaving++;
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
    await new Promise((resolve) => setTimeout(resolve, LEARN_STEP_MS));
    const { adopted, unknown, full } = await adoptConnections(object, { ...options, reapply: false });
    all.adopted += adopted;
    all.unknown = unknown;
    all.full ||= full;
  }
  return all;
}

/** The name of the rule that lets a connection in, 0 where none has to; undefined when it is to stay outside (bpf/rules.h). */
function judge(object: BpfObject, { client, server, listener }: Connection): number | undefined {
  const packet = writeStruct(layouts, "adoption", {
    connection: {
      client: [client.local, server.remote],
      server: [client.remote, server.local],
      client_owner: client.owner,
      server_owner: (listener ?? server).owner,
    },
  });
  const decided = object.program("judge").runOn(packet);
  return decided === ACCELERATE || decided >= RULES_MAX ? decided : undefined;
}
