import { getLogger } from "@logtape/logtape";
import { layouts } from "../bpf/layouts.ts";
import { readStruct, u32 } from "../bpf/struct.ts";
import { adoptConnections } from "./adopt.ts";
import { nudgeReaders } from "./edges.ts";
import { isAttached } from "./pins.ts";
import { attach, type DataPlane } from "./start.ts";
import { sweepLeaving } from "./sweep.ts";

const log = getLogger("mda");

/** How often the readers are looked at, and those that want to leave; seldom when nobody can be helped. */
const LOOK_MS = 100;
const LOOK_MS_MAX = 2000;
/** How soon again when some want to leave: each send of theirs costs more than it needs to. */
const LEAVE_MS = 10;
/** How often it is looked for connections to adopt; the search takes at most one part in so many of the time. */
const ADOPT_MS = 2000;
const ADOPT_SHARE = 50;
const CHECK_MS = 1000;

export interface TendOptions {
  /** Whether connections that are there are put into the sockhash. */
  adopt: boolean;
}

/** What a process does for its data plane all the time. Disposing of it ends that. */
export interface Tending extends Disposable {
  /** Looks for connections to adopt now. */
  adopt(options?: { reapply: boolean }): void;
}

/**
 * Looks after a data plane: makes edges for readers that were full, takes adopted sockets out that want to leave, adopts
 * connections, attaches to the cgroup again when it was removed and is back, and warns when the sockhash is full.
 */
export function tend(plane: DataPlane, { adopt }: TendOptions): Tending {
  const timers = [repeat(lookAfter(plane)), repeat(leaver(plane)), repeat(checkOn(plane))];
  const scan = adopter(plane);
  if (adopt) timers.push(repeat(scan));
  return {
    adopt: (options) => void scan(options),
    [Symbol.dispose]: () => timers.forEach((timer) => timer[Symbol.dispose]()),
  };
}

/** Does something again and again, each time after as many milliseconds as it said the last time. */
function repeat(action: () => number): Disposable {
  let timer = setTimeout(run, 0);
  function run() {
    timer = setTimeout(run, action());
  }
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

function lookAfter(plane: DataPlane): () => number {
  const { object } = plane;
  const packet = new Uint8Array(layouts.sweep.size);
  let wait = LOOK_MS;
  const report = once((error: Error) =>
    log.warn(
      `${error.message}; a program that reads on edges (EPOLLET) may miss bytes that follow a full buffer`,
    )
  );
  return () => {
    // Before it is late, however long the rest takes.
    object.program("tend").runOn(packet);
    let helped = true;
    try {
      helped = nudgeReaders(plane);
    } catch (error) {
      report(error as Error);
    }
    return wait = helped ? LOOK_MS : Math.min(2 * wait, LOOK_MS_MAX);
  };
}

function leaver({ object }: DataPlane): () => number {
  let wait = LOOK_MS;
  return () => {
    const waiting = sweepLeaving(object.map("leaving"), object.program("drain"));
    const first = wait === LOOK_MS ? LEAVE_MS : 2 * wait;
    return wait = waiting === 0 ? LOOK_MS : Math.min(first, LOOK_MS);
  };
}

function adopter(plane: DataPlane): (options?: { reapply: boolean }) => number {
  const { object, options: { allSockets } } = plane;
  const full = once(() => warnFull(plane));
  const report = once((error: Error) =>
    log.warn(`${error.message}; connections that are already open stay on TCP`)
  );
  return ({ reapply } = { reapply: false }) => {
    const started = performance.now();
    try {
      const found = adoptConnections(object, { reapply, allSockets });
      if (found.adopted > 0) log.info(`adopted ${count(found.adopted)}`);
      if (found.dismissed > 0) log.info(`${count(found.dismissed)} go over to TCP by the new rules`);
      if (found.full) full();
    } catch (error) {
      report(error as Error);
    }
    return Math.max(ADOPT_MS, ADOPT_SHARE * (performance.now() - started));
  };
}

const count = (connections: number) => `${connections} connection${connections === 1 ? "" : "s"}`;

/** Looks whether it is still attached, and has room. */
function checkOn(plane: DataPlane): () => number {
  const { object, options: { cgroup, pinDir } } = plane;
  let attached = true;
  const full = once(() => warnFull(plane));
  return () => {
    if (refusedForRoom(plane) > 0n) full();
    const now = isAttached(pinDir);
    if (attached && !now) log.warn(`${cgroup} was removed: nothing is accelerated until it is there again`);
    attached = now || attachAgain();
    return CHECK_MS;
  };

  function attachAgain(): boolean {
    try {
      attach(object, cgroup, pinDir);
      log.info(`${cgroup} is there again: attached`);
      return true;
    } catch {
      return false;
    }
  }
}

function refusedForRoom({ object }: DataPlane): bigint {
  const cpus = object.map("counters").lookupPerCpu(u32(0))!;
  return cpus.reduce((sum, cpu) => sum + readStruct(layouts, "counters", cpu).refused_map_full, 0n);
}

function warnFull({ object }: DataPlane): void {
  const connections = object.map("sockets").info.maxEntries / 2;
  log.warn(
    `the sockhash is full: ${connections} connections are accelerated, more stay on TCP; raise --max-connections`,
  );
}

/** A function that does nothing from the second call on. */
function once<A extends unknown[]>(action: (...args: A) => void): (...args: A) => void {
  let done = false;
  return (...args) => {
    if (!done) action(...args);
    done = true;
  };
}
