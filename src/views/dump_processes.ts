import { surroundingsOfProcess } from "../host/container.ts";
import { processName } from "../host/process.ts";
import type { Names, Packet, PacketEnd } from "./dumps.ts";
import { endpointOf } from "./endpoints.ts";
import type { FilterOptions } from "./filter.ts";
import type { Lister } from "./lister.ts";

export type ProcessFilter = Pick<FilterOptions, "pid" | "program" | "pod">;

/** How often processes are looked for that have not sent yet, at most. */
const LOOK_MS = 1000;
/** More are forgotten. */
const KNOWN_MAX = 100_000;

/** Whether anything is asked of processes. */
export function asksForProcesses({ pid, program, pod }: ProcessFilter): boolean {
  return [pid, program, pod].some((values) => values !== undefined);
}

/** Which packets have an end in a process that is wanted. */
export class DumpProcesses {
  /** By direction, who has sent last. */
  readonly #senders = new Map<bigint, number>();
  /** By the names of a socket's two ends. */
  #listed = new Map<string, number>();
  #lookedMs = -Infinity;
  readonly #wanted = new Map<number, boolean>();

  constructor(private readonly lister: Lister, private readonly filter: ProcessFilter) {}

  matches(packet: Packet): boolean {
    const { key } = packet.direction;
    if (this.#senders.size >= KNOWN_MAX) this.#senders.clear();
    this.#senders.set(key, packet.pid);
    if (this.#isWanted(packet.pid, packet.program)) return true;
    const peer = this.#senders.get(key ^ 1n) ?? this.#listedPeer(packet);
    return peer !== undefined && this.#isWanted(peer);
  }

  #listedPeer({ direction: { names, otherNames } }: Packet): number | undefined {
    const find = () =>
      [names, otherNames].map((names) => names && this.#listed.get(socketName(names)))
        .find((pid) => pid !== undefined);
    const known = find();
    if (known !== undefined || performance.now() < this.#lookedMs + LOOK_MS) return known;
    this.#lookedMs = performance.now();
    this.#listed = new Map(
      this.lister.sockets().map(({ local, remote, pid }) => {
        const [own, peer] = [endpointOf(local), endpointOf(remote)];
        return [`${own.address} ${own.port} ${peer.address} ${peer.port}`, pid];
      }),
    );
    this.#wanted.clear(); // a process may have become another program, or its number be used again
    return find();
  }

  #isWanted(pid: number, thread?: string): boolean {
    let wanted = this.#wanted.get(pid);
    if (wanted === undefined) {
      if (this.#wanted.size >= KNOWN_MAX) this.#wanted.clear();
      wanted = this.#look(pid, thread);
      this.#wanted.set(pid, wanted);
    }
    return wanted;
  }

  #look(pid: number, thread?: string): boolean {
    const { pid: pids, program, pod } = this.filter;
    const begins = (wanted: string[], ...names: (string | undefined)[]) =>
      names.some((name) => name && wanted.some((begin) => name.startsWith(begin)));
    if (pids && !pids.includes(pid)) return false;
    if (program && !begins(program, processName(pid) ?? thread)) return false;
    if (!pod) return true;
    const { container, pod: uid, unit } = surroundingsOfProcess(pid);
    return begins(pod, container, uid, unit);
  }
}

/** Of the socket that receives. */
function socketName({ source, target }: Names): string {
  const name = ({ text, port }: PacketEnd) => `${text} ${port}`;
  return `${name(target)} ${name(source)}`;
}
