import { enums, layouts, maps } from "../generated/layouts.ts";
import { reasons } from "../generated/reasons.ts";
import { readStruct, u32, u64 } from "../libbpf/struct.ts";
import type { Found } from "./pairs.ts";
import type { ListedSocket, Lister } from "./lister.ts";
import type { State } from "./words.ts";

const { HABIT_UNKNOWN, HABIT_RECEIVES } = enums.habit;

/** Why a connection is redirected now, or is not. */
export interface Verdict {
  state: State;
  /** As status and metrics name it: "refused blocking_client"; null when it is redirected, or nobody has decided. */
  reason: string | null;
  /** The same in words. */
  why: string;
}

/** Whether both ends are in the sockhash. */
export function isInside({ state }: Verdict): boolean {
  return state === "redirected" || state === "passed" || state === "idle" || state === "leaving";
}

type Group = keyof typeof reasons;

/** The reason of a group that has a place in its counter. */
function named(group: Group, place: number): Pick<Verdict, "reason" | "why"> | undefined {
  const all: Record<string, { place: number; words: string }> = reasons[group];
  for (const [name, { place: its, words }] of Object.entries(all)) {
    if (its === place) return { reason: `${group} ${name}`, why: words };
  }
}

/** The same by its name. */
export function reasonNamed<G extends Group>(
  group: G,
  name: keyof typeof reasons[G] & string,
): Pick<Verdict, "reason" | "why"> {
  const { words } = reasons[group][name] as { words: string };
  return { reason: `${group} ${name}`, why: words };
}

/** Finds out why connections are where they are, from the maps of a data plane. */
export class Verdicts {
  constructor(private readonly lister: Lister) {}

  of(client: Found, server: Found): Verdict {
    const ends = [client, server];
    const lanes = ends.map(({ lane }) => lane).filter((lane) => lane !== undefined);
    if (lanes.some(({ left_ns }) => left_ns !== 0n)) return this.#left(ends);
    if (lanes.length === 0) return this.#outside(ends);
    if (lanes.length === 1 || lanes.some(({ paired }) => !paired)) {
      // Its client learns its peer when it first sends.
      const waits = lanes.length === 2 &&
        lanes.every(({ messages, passed_messages }) => messages + passed_messages === 0n);
      return waits ? idle : { state: "passed", ...reasonNamed("passed", "unpaired") };
    }
    const leaving = lanes.find(({ leave }) => leave !== 0);
    if (leaving) return { state: "leaving", ...named("left", leaving.leave)! };
    const moved = lanes.filter(({ messages, passed_messages }) => messages + passed_messages > 0n);
    if (moved.length === 0) return idle;
    // Of both directions: the one that sent last.
    const last = moved.reduce((one, other) => other.idle_jiffies < one.idle_jiffies ? other : one);
    return last.on_tcp
      ? { state: "passed", ...named("passed", last.passed_for)! }
      : { state: "redirected", reason: null, why: "messages go past TCP" };
  }

  #left(ends: Found[]): Verdict {
    for (const { lane } of ends) {
      const why = lane && this.#departure(lane.cookie);
      if (why) return { state: "left", ...why };
    }
    const said = ends.find(({ lane }) => lane?.leave)?.lane;
    return said
      ? { state: "left", ...named("left", said.leave)! }
      : { state: "left", reason: null, why: "mda was stopped meanwhile" };
  }

  #departure(cookie: bigint): Pick<Verdict, "reason" | "why"> | undefined {
    const bytes = this.lister.map("departures").lookup(u64(cookie));
    if (!bytes) return undefined;
    const { why } = readStruct(layouts, "departure", bytes);
    return why === enums.leave.LEAVE_WITH_PEER ? undefined : named("left", why);
  }

  #outside(ends: Found[]): Verdict {
    for (const { socket } of ends) {
      const why = socket && socket.cookie !== 0n && this.#refusal(socket.cookie);
      if (why) return { state: "refused", ...why };
    }
    for (const { socket } of ends) {
      const why = socket && socket.cookie !== 0n && this.#departure(socket.cookie);
      if (why) return { state: "left", ...why };
    }
    const sockets = ends.map(({ socket }) => socket).filter((socket) => socket !== undefined);
    return { state: "outside", ...obstacle(sockets) };
  }

  #refusal(cookie: bigint): Pick<Verdict, "reason" | "why"> | undefined {
    const place = Number(cookie % BigInt(maps.refusals.maxEntries));
    const bytes = this.lister.map("refusals").lookup(u32(place));
    if (!bytes) return undefined;
    const refused = readStruct(layouts, "refused_connection", bytes);
    return refused.cookie === cookie ? named("refused", refused.reason) : undefined;
  }
}

const idle: Verdict = { state: "idle", reason: null, why: "nothing was sent since it has entered" };

/** What keeps a connection out, as far as its sockets show now: nobody has noted it. */
function obstacle(sockets: ListedSocket[]): Pick<Verdict, "reason" | "why"> {
  if (sockets.some(({ protocol }) => protocol)) return reasonNamed("refused", "protocol");
  if (sockets.some(({ is_kernels }) => is_kernels)) return reasonNamed("refused", "kernel_socket");
  if (sockets.some(({ in_cgroup }) => !in_cgroup)) {
    return { reason: "outside cgroup", why: "an end is outside of the cgroup that mda follows" };
  }
  if (sockets.some(({ in_sockmap }) => in_sockmap)) return reasonNamed("refused", "other_sockmap");
  if (sockets.some(({ habit }) => habit > HABIT_RECEIVES)) return reasonNamed("refused", "habit");
  const [client, server] = sockets;
  if (client?.blocking) return reasonNamed("refused", "blocking_client");
  if (server?.blocking) {
    return { reason: "refused blocking_listener", why: "the server's socket is in blocking mode" };
  }
  if (sockets.some(({ habit }) => habit === HABIT_UNKNOWN)) return reasonNamed("refused", "unknown");
  return { reason: null, why: "it was open before mda came, and is adopted when mda run looks next" };
}
