import { enums, layouts, maps } from "../generated/layouts.ts";
import { reasons } from "../generated/reasons.ts";
import { readStruct, u32, u64 } from "../libbpf/struct.ts";
import { type Instance, readInstance } from "../state/instance.ts";
import type { Found } from "./pairs.ts";
import type { ListedLane, ListedSocket, Lister } from "./lister.ts";
import type { State } from "./words.ts";

const { HABIT_UNKNOWN, HABIT_RECEIVES } = enums.habit;
const { UNKNOWN_FAST } = enums.unknown_programs;

/** Why a connection is redirected now, or is not. */
export interface Verdict {
  state: State;
  /** As status and metrics name it: "refused blocking_client"; null when it is redirected, or nobody has decided. */
  reason: string | null;
  /** The same in words. */
  why: string;
  /** What would remove the reason, when it is one of the table. */
  remedy?: string;
}

type Named = Pick<Verdict, "reason" | "why" | "remedy">;

/** Whether both ends are in the sockhash. */
export function isInside({ state }: Verdict): boolean {
  return state === "redirected" || state === "passed" || state === "idle" || state === "leaving";
}

/** Whether an end has sent anything since it has entered, any way. */
export function hasMoved({ messages, passed_messages }: ListedLane): boolean {
  return messages !== 0n || passed_messages !== 0n;
}

type Group = keyof typeof reasons;

/** Found once: a host may have thousands of connections that a page is told of each second. */
const byPlace = Object.fromEntries(
  Object.entries<Record<string, { place: number; words: string; remedy: string }>>(reasons).map((
    [group, all],
  ) => [
    group,
    new Map(
      Object.entries(all).map(([name, { place, words, remedy }]) => [
        place,
        { reason: `${group} ${name}`, why: words, remedy },
      ]),
    ),
  ]),
) as Record<Group, Map<number, Named>>;

/** The reason of a group that has a place in its counter. */
export function named(group: Group, place: number): Named | undefined {
  return byPlace[group].get(place);
}

/** The same by its name. */
export function reasonNamed<G extends Group>(
  group: G,
  name: keyof typeof reasons[G] & string,
): Named & { remedy: string } {
  const { words, remedy } = reasons[group][name] as { words: string; remedy: string };
  return { reason: `${group} ${name}`, why: words, remedy };
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
        !lanes.some(hasMoved);
      return waits ? idle : { state: "passed", ...reasonNamed("passed", "unpaired") };
    }
    const leaving = lanes.find(({ leave }) => leave !== 0);
    if (leaving) return { state: "leaving", ...named("left", leaving.leave)! };
    const moved = lanes.filter(hasMoved);
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

  #departure(cookie: bigint): Named | undefined {
    const bytes = this.lister.map("departures").lookup(u64(cookie));
    if (!bytes) return undefined;
    const { why } = readStruct(layouts, "departure", bytes);
    return why === enums.leave.LEAVE_WITH_PEER ? undefined : named("left", why);
  }

  #outside(ends: Found[]): Verdict {
    const sockets = ends.map(({ socket }) => socket).filter((socket) => socket !== undefined);
    const now = () => obstacle(sockets, () => readInstance(this.lister.map("instance")));
    const noted = sockets.filter(({ cookie }) => cookie !== 0n);
    for (const { cookie } of noted) {
      const why = this.#refusal(cookie);
      // What was not known then may be now.
      const isOld = why?.reason === "refused unknown";
      if (why) return { state: "refused", ...why, ...isOld && now().reason !== null ? now() : {} };
    }
    for (const { cookie } of noted) {
      const why = this.#departure(cookie);
      if (why) return { state: "left", ...why };
    }
    return { state: "outside", ...now() };
  }

  #refusal(cookie: bigint): Named | undefined {
    const place = Number(cookie % BigInt(maps.refusals.maxEntries));
    const bytes = this.lister.map("refusals").lookup(u32(place));
    if (!bytes) return undefined;
    const refused = readStruct(layouts, "refused_connection", bytes);
    return refused.cookie === cookie ? named("refused", refused.reason) : undefined;
  }
}

const idle: Verdict = { state: "idle", reason: null, why: "nothing was sent since it has entered" };

/** What keeps a connection out, as far as its sockets show now: nobody has noted it. */
function obstacle(sockets: ListedSocket[], instance: () => Instance): Named {
  if (sockets.some(({ protocol }) => protocol)) return reasonNamed("refused", "protocol");
  if (sockets.some(({ is_kernels }) => is_kernels)) return reasonNamed("refused", "kernel_socket");
  if (sockets.some(({ in_cgroup }) => !in_cgroup)) {
    return {
      ...reasonNamed("refused", "not_local"),
      reason: "outside cgroup",
      why: "an end is outside of the cgroup that mda follows",
    };
  }
  if (sockets.some(({ in_sockmap }) => in_sockmap)) return reasonNamed("refused", "other_sockmap");
  if (sockets.some(({ habit }) => habit > HABIT_RECEIVES)) return reasonNamed("refused", "habit");
  const [client, server] = sockets, { all_sockets, unknown_programs } = instance();
  if (client?.blocking && !all_sockets) return reasonNamed("refused", "blocking_client");
  if (server?.blocking && !all_sockets) {
    return { ...reasonNamed("refused", "blocking_listener"), why: "the server's socket is in blocking mode" };
  }
  if (sockets.some(({ habit }) => habit === HABIT_UNKNOWN) && unknown_programs !== UNKNOWN_FAST) {
    return reasonNamed("refused", "unknown");
  }
  return { reason: null, why: "it was open before mda came, and is adopted when mda run looks next" };
}
