import { cpuMs } from "../host/libc/mod.ts";
import { checkVersion, whatIsPinned } from "../state/found.ts";
import { readInstance } from "../state/instance.ts";
import { openPinnedMap } from "../state/pins.ts";
import { ConnectionReader } from "./connections.ts";
import { type Counters, readCounters } from "./counters.ts";
import { type ListedLane, type ListedSocket, Lister } from "./lister.ts";
import { type Rated, Rates, type Totals, totalsBetween } from "./rates.ts";
import { isEnabled } from "./status.ts";
import { isInside } from "./why.ts";

/** What is going on, and how much since the reading before. */
export interface Reading {
  enabled: boolean;
  cgroup: string;
  /** Connections with both ends in the sockhash, and for how many there is room. */
  active: number;
  max: number;
  /** Undefined the first time. */
  totals?: Totals;
  connections: Rated[];
}

/** Who has a socket is looked up again after so many seconds. */
const SOCKETS_SECONDS = 10;
/** When there are new ones also before, but what that costs is at most one part in so many of a CPU. */
const SOCKETS_SHARE = 500;

/** Looks at the data plane of a pin directory again and again, also through its stop and the next start. */
export class Watch implements Disposable {
  #opened?: { lister: Lister; reader: ConnectionReader; cgroup: string };
  #rates = new Rates();
  #before?: { counters: Counters; seconds: number };
  #sockets: ListedSocket[] = [];
  /** Which of them had a lane. */
  #entered = new Set<bigint>();
  /** When they were looked up, and what that took of a CPU, in seconds. */
  #socketsFrom = { ended: -Infinity, took: 0 };

  constructor(private readonly pinDir: string) {}

  /**
   * @param all also connections that have not entered, or have left
   * @param outside of these, also those with an end outside of the cgroup
   * @throws Error when what is there is of another version, or this process may not
   */
  async read({ all, outside }: { all: boolean; outside?: boolean }): Promise<Reading> {
    const opened = await this.#open();
    if (!opened) return { enabled: false, cgroup: "", active: 0, max: 0, connections: [] };
    const { lister, reader, cgroup } = opened;
    const counters = readCounters(lister.map("counters"));
    const seconds = performance.now() / 1000;
    const lanes = lister.lanes();
    this.#readSockets(lister, reader, lanes, { seconds, always: all });
    const connections = reader.read({ all, outside, sockets: this.#socketsOf(lanes), lanes });
    const before = this.#before;
    this.#before = { counters, seconds };
    return {
      enabled: isEnabled(this.pinDir),
      cgroup,
      active: connections.filter(isInside).length,
      max: lister.map("sockets").info.maxEntries / 2,
      totals: before && totalsBetween(before.counters, counters, seconds - before.seconds),
      connections: this.#rates.of(connections, seconds),
    };
  }

  [Symbol.dispose](): void {
    this.#opened?.lister[Symbol.dispose]();
    this.#opened = undefined;
  }

  /** The data plane that is there now; undefined when there is none. */
  async #open() {
    using control = openPinnedMap(this.pinDir, "control");
    if (control && control.info.id === this.#opened?.lister.map("control").info.id) return this.#opened;
    this[Symbol.dispose]();
    await checkVersion("show connections", this.pinDir);
    if (await whatIsPinned(this.pinDir) !== "same maps") return undefined;
    using instance = openPinnedMap(this.pinDir, "instance");
    if (!instance) return undefined;
    const lister = new Lister(this.pinDir);
    this.#opened = { lister, reader: new ConnectionReader(lister), cgroup: readInstance(instance).cgroup };
    this.#rates = new Rates();
    this.#before = undefined;
    this.#socketsFrom = { ended: -Infinity, took: 0 };
    return this.#opened;
  }

  /** All descriptors of the host are much to go through; lanes alone tell all but who has them. */
  #readSockets(
    lister: Lister,
    reader: ConnectionReader,
    lanes: ListedLane[],
    { seconds, always }: { seconds: number; always: boolean },
  ): void {
    const { ended, took } = this.#socketsFrom;
    const isDear = seconds < ended + took * SOCKETS_SHARE;
    if (isDear || (!always && seconds < ended + SOCKETS_SECONDS && !this.#areNew(lanes))) return;
    const start = cpuMs();
    this.#entered = new Set(lanes.map(({ cookie }) => cookie));
    this.#sockets = lister.sockets();
    reader.forgetOthers(this.#sockets);
    this.#socketsFrom = { ended: performance.now() / 1000, took: (cpuMs() - start) / 1000 };
  }

  /** Sockets, without those that had a lane and have none: they are closed. */
  #socketsOf(lanes: ListedLane[]): ListedSocket[] {
    const now = new Set(lanes.map(({ cookie }) => cookie));
    return this.#sockets.filter(({ cookie }) => now.has(cookie) || !this.#entered.has(cookie));
  }

  /** Whether there is a socket of which nobody was found yet; when nobody has it at all, it is not looked for again. */
  #areNew(lanes: ListedLane[]): boolean {
    const { ended } = this.#socketsFrom;
    const known = new Set(this.#sockets.map(({ cookie }) => cookie));
    const since = performance.now() / 1000 - ended;
    return lanes.some(({ cookie, age_ns }) => !known.has(cookie) && Number(age_ns) / 1e9 < since + 1);
  }
}
