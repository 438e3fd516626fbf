import { type Surroundings, surroundingsOfProcess } from "../host/container.ts";
import { jiffiesPerSecond } from "../host/libc/mod.ts";
import { processName } from "../host/process.ts";
import { type Endpoint, endpointOf } from "./endpoints.ts";
import type { ListedLane, ListedSocket, Lister } from "./lister.ts";
import { type Found, pairLanes, pairOthers } from "./pairs.ts";
import { hasMoved, isInside, type Verdict, Verdicts } from "./why.ts";

export interface Sent {
  messages: number;
  bytes: number;
}

/** One end of a connection. Names stay, new ones may come. */
export interface ConnectionEnd extends Surroundings {
  /** As this end sees itself, and its peer: NAT shows in that the two ends do not agree. */
  local: Endpoint;
  remote: Endpoint;
  /** The inode of its network namespace. */
  netns: number;
  /** Null when its process cannot be seen from here. */
  pid: number | null;
  program: string | null;
  /** Who made the socket; null when nobody has accepted it yet, or it cannot be seen. */
  uid: number | null;
  gid: number | null;
  /** Since it has entered: past TCP, and by TCP; null when it has not. */
  redirected: Sent | null;
  tcp: Sent | null;
  /** Bytes that its program has not read. */
  unread: { redirected: number; tcp: number };
}

export interface Connection extends Verdict {
  /** Of the client's socket: a number that no other connection has. */
  id: string;
  client: ConnectionEnd;
  server: ConnectionEnd;
  /** How it has entered: paired at its handshake, or adopted later; null when it has not. */
  joined: "paired" | "adopted" | null;
  /** Since it has entered, in seconds; null when it has not. */
  age: number | null;
  /** Since its last message, in seconds; null when it had none since. */
  idle: number | null;
}

const NS = 1e9;

/**
 * The connections of this host that have both ends here.
 *
 * @param all also those that have not entered, or have left
 * @param outside of these, also those with an end outside of the cgroup
 */
export function readConnections(
  lister: Lister,
  { all, outside }: { all: boolean; outside?: boolean },
): Connection[] {
  return new ConnectionReader(lister).read({ all, outside, sockets: lister.sockets({ inside: !all }) });
}

/** What is known of a process: read again after a while, and after twice as long each time that it is the same. */
interface Process {
  program: string | null;
  surroundings: Surroundings;
  forMs: number;
  until: number;
}

/** Who has a name of its own most often gives it to itself at its start. */
const PROCESS_MS = 10_000;
const PROCESS_MS_MAX = 80_000;

/** Reads connections again and again. */
export class ConnectionReader {
  readonly #jiffiesPerSecond = jiffiesPerSecond();
  readonly #processes = new Map<number, Process>();
  readonly #verdicts: Verdicts;

  constructor(private readonly lister: Lister) {
    this.#verdicts = new Verdicts(lister);
  }

  /**
   * As {@link readConnections} does.
   *
   * @param outside of all, also those with an end outside of the cgroup: a host may have many
   * @param sockets as they were a while ago, perhaps: who has a socket seldom changes
   */
  read(
    { all, outside = true, sockets, lanes = this.lister.lanes() }: {
      all: boolean;
      outside?: boolean;
      sockets: ListedSocket[];
      lanes?: ListedLane[];
    },
  ): Connection[] {
    const byCookie = new Map<bigint, ListedSocket>();
    for (const socket of sockets) {
      const { cookie } = socket;
      if (cookie !== 0n) byCookie.set(cookie, socket);
    }
    const found: Connection[] = [], shown = new Set<bigint | undefined>();
    const add = (client: Found, server: Found) => {
      const verdict = this.#verdicts.of(client, server);
      const isWanted = all ? outside || verdict.reason !== "outside cgroup" : isInside(verdict);
      if (isWanted) found.push(this.#connection(client, server, verdict));
    };
    for (const [client, server] of pairLanes(lanes)) {
      const [own, peers] = [client?.cookie, server?.cookie];
      if (all) shown.add(own).add(peers);
      add(
        { lane: client, socket: own === undefined ? undefined : byCookie.get(own) },
        { lane: server, socket: peers === undefined ? undefined : byCookie.get(peers) },
      );
    }
    if (!all) return found;
    for (const [client, server] of pairOthers(sockets.filter(({ cookie }) => !shown.has(cookie)))) {
      add({ socket: client }, { socket: server });
    }
    return found;
  }

  /** Forgets the processes that have none of these sockets: another may have the number of one later. */
  forgetOthers(sockets: ListedSocket[]): void {
    const pids = new Set(sockets.map(({ pid }) => pid));
    for (const pid of this.#processes.keys()) if (!pids.has(pid)) this.#processes.delete(pid);
  }

  #connection(client: Found, server: Found, verdict: Verdict): Connection {
    const ages: number[] = [], idle: number[] = [];
    for (const { lane } of [client, server]) {
      if (!lane) continue;
      ages.push(Number(lane.age_ns) / NS);
      if (hasMoved(lane)) idle.push(lane.idle_jiffies / this.#jiffiesPerSecond);
    }
    const lane = client.lane ?? server.lane;
    const cookie = client.lane?.cookie ?? client.socket?.cookie ?? server.lane?.cookie ?? 0n;
    return {
      id: String(cookie),
      state: verdict.state,
      reason: verdict.reason,
      why: verdict.why,
      remedy: verdict.remedy,
      joined: lane ? lane.adopted ? "adopted" : "paired" : null,
      age: ages.length > 0 ? Math.max(...ages) : null,
      idle: idle.length > 0 ? Math.min(...idle) : null,
      client: this.#end(client, server),
      server: this.#end(server, client),
    };
  }

  #end({ socket, lane }: Found, peer: Found): ConnectionEnd {
    const known = lane ?? socket;
    const other = peer.lane ?? peer.socket;
    const process = socket && this.#process(socket.pid), around = process?.surroundings;
    const owners = socket?.owner;
    // Each property by its name, so that all have the same in the same order: the thousands of a list are made much faster.
    return {
      // Of an end that is not known: as its peer sees it.
      local: endpointOf(known?.local ?? other!.remote),
      remote: endpointOf(known?.remote ?? other!.local),
      netns: known?.netns ?? 0,
      pid: socket && process ? socket.pid : null,
      program: process?.program ?? null,
      container: around?.container,
      pod: around?.pod,
      unit: around?.unit,
      uid: owner(owners?.uid),
      gid: owner(owners?.gid),
      redirected: lane ? { messages: Number(lane.messages), bytes: Number(lane.bytes) } : null,
      tcp: lane ? { messages: Number(lane.passed_messages), bytes: Number(lane.passed_bytes) } : null,
      unread: {
        redirected: Number(lane?.unread_bytes ?? 0n),
        tcp: known?.tcp_unread ?? 0,
      },
    };
  }

  #process(pid: number): Process {
    const known = this.#processes.get(pid), now = performance.now();
    if (known && now < known.until) return known;
    const program = processName(pid) ?? null;
    const isSame = known && known.program === program;
    const forMs = isSame ? Math.min(2 * known.forMs, PROCESS_MS_MAX) : PROCESS_MS;
    const process = { program, surroundings: surroundingsOfProcess(pid), forMs, until: now + forMs };
    this.#processes.set(pid, process);
    return process;
  }
}

/** Nobody has this number: what the kernel side says when there is no owner. */
const NOBODY = 0xffff_ffff;

function owner(id: number | undefined): number | null {
  return id === undefined || id === NOBODY ? null : id;
}
