import { getLogger } from "@logtape/logtape";
import { BpfError } from "../../libbpf/errors.ts";
import { layouts } from "../../generated/layouts.ts";
import type { BpfObject } from "../../libbpf/object.ts";
import { readStruct, u32 } from "../../libbpf/struct.ts";
import { obstacleToOthersSockets } from "../../host/reach.ts";
import { plural } from "../../text/plural.ts";
import { adoptConnections } from "../sockets/adopt.ts";
import { makeEdges } from "../sockets/edges.ts";
import { handleEvents } from "./events.ts";
import { changeControl, readControl } from "../../state/control.ts";
import { readCounters } from "../../views/counters.ts";
import { costWhenIdle, everything } from "../programs/hooks.ts";
import { memoryKeeper } from "../sockets/memory.ts";
import { checkPrograms, noteWatched, someAreUnknown, whatCouldBeDone } from "../programs/programs.ts";
import { handOver, someIsBypassed } from "../sockets/handover.ts";
import { NeighbourWatch } from "./neighbour_watch.ts";
import { isAttached } from "../../state/pins.ts";
import { Shortage } from "./shortage.ts";
import { attach, type DataPlane } from "../lifecycle/start.ts";
import { releaseHalfWay, releaseLeaving } from "../sockets/release.ts";

const log = getLogger("mda");

/** How often the readers are looked at, and those that want to leave; seldom when nobody can be helped. */
const LOOK_MS = 100;
const LOOK_MS_MAX = 2000;
/** How soon again when some want to leave: each send of theirs costs more than it needs to. */
const LEAVE_MS = 10;
/** How often it is looked for connections to adopt; the search takes at most one part in so many of the time. */
const ADOPT_MS = 2000;
const ADOPT_SHARE = 50;
/** So many come without that. */
const FIRST_SCANS = 10;
/** The longest pause, however busy the machine. */
const ADOPT_MS_MAX = 10_000;
/** How long after a new program, or this process, has come all hooks stay attached, where they cost something. */
const SETTLE_MS = 5000;
/** The same while connections wait for their programs to be known. */
const LEARN_MS = 200;
const CHECK_MS = 1000;
export interface UpkeepOptions {
  /** Whether connections that are there are put into the sockhash. */
  adopt: boolean;
}

/** What a process does for its data plane all the time. Disposing of it ends that, and waits for what is under way. */
export interface Upkeep extends AsyncDisposable {
  /** Looks for connections to adopt now. */
  adopt(options?: { reapply: boolean }): void;
  /** Whether there are descriptors, and what is to be done when there are. */
  readonly shortage: Shortage;
}

/**
 * Looks after a data plane: makes edges for readers that were full, hands over what programs that begin to splice wait for,
 * looks into the code of new programs, takes adopted sockets out that want to leave, adopts connections, attaches to the cgroup again when it was removed and is back, and warns when the sockhash is full and of neighbours.
 */
export function startUpkeep(plane: DataPlane, { adopt }: UpkeepOptions): Upkeep {
  const ending = new AbortController();
  const { signal } = ending;
  const scans = plane.features.iterates_files;
  const obstacle = scans
    ? obstacleToOthersSockets()
    : "This kernel refuses programs that look at descriptors";
  if (obstacle) {
    log.warn(`${obstacle}; connections ${adopt ? alreadyOpen : ""}${onEdges} stay on TCP`);
  }
  const full = once(() => warnFull(plane));
  const shortage = new Shortage();
  const adopter = new Adopter(plane, full, obstacle === undefined, shortage, signal);
  const keepDoing = (action: () => number | Promise<number>) => repeat(action, shortage, signal);
  keepDoing(leaver(plane));
  const check = checker(plane, () => adopt && scans && adopter.adoptSoon(), shortage, signal);
  keepDoing(() => check());
  const handling = handleEvents(plane.object, () => attempt(() => check(true), shortage), shortage, signal);
  const memory = memoryKeeper(
    plane.object,
    scans && obstacle === undefined,
    () => adopt && scans && adopter.adoptSoon(),
  );
  keepDoing(memory);
  const resets = plane.features.sees_resets ? watchResets(plane) : undefined;
  const neighbours = new NeighbourWatch({ ...plane.options, signal });
  keepDoing(() => neighbours.look());
  keepDoing(checkOn(plane, full, neighbours));
  if (scans) {
    keepDoing(makesEdges(plane, obstacle === undefined, shortage));
    keepDoing(() => (handOver(plane.object), LOOK_MS));
    if (adopt) keepDoing(() => adopter.adopt());
  }
  return {
    adopt: (options) => void (scans && adopter.adopt(options)),
    shortage,
    async [Symbol.asyncDispose]() {
      ending.abort();
      shortage[Symbol.dispose]();
      resets?.[Symbol.dispose]();
      await adopter.adopted;
      await handling;
      await neighbours.searched;
    },
  };
}

const alreadyOpen = "that are already open, and those ";
const onEdges = "whose readers wait for edges (EPOLLET),";

/** Does something again and again, each time after as many milliseconds as it said the last time. */
function repeat(action: () => number | Promise<number>, shortage: Shortage, signal: AbortSignal): void {
  const run = async () => {
    if (signal.aborted) return;
    const ms = await attempt(action, shortage) ?? LOOK_MS;
    if (!signal.aborted) timer = setTimeout(run, ms);
  };
  let timer = setTimeout(run, 0);
  signal.addEventListener("abort", () => clearTimeout(timer));
}

/** Returns undefined when there were no descriptors for it. */
async function attempt<T>(action: () => T, shortage: Shortage): Promise<Awaited<T> | undefined> {
  try {
    return await action();
  } catch (error) {
    if (!shortage.caused(error)) throw error;
    return undefined;
  }
}

/** @param reaches every reader can be reached: where one cannot, nothing is to be redirected to readers on edges */
function makesEdges(plane: DataPlane, reaches: boolean, shortage: Shortage): () => number {
  const { object } = plane;
  const packet = new Uint8Array(layouts.release.size);
  let wait = LOOK_MS;
  // From the first message on, and then before it is late, however long the rest takes.
  // Without descriptors no edge can be made; but who waits for a handover would be cut off.
  const say = () =>
    reaches && (!shortage.lasts || someIsBypassed(object)) && object.program("heartbeat").runOn(packet);
  say();
  return () => {
    say();
    let helped = true;
    try {
      helped = makeEdges(object);
    } catch (error) {
      if (shortage.caused(error)) return wait = LOOK_MS;
      if (reaches) {
        log.warn(
          `${
            (error as Error).message
          }; from now on connections ${onEdges} stay on TCP, and a program that reads so ` +
            "may have missed bytes that followed a full buffer",
        );
      }
      reaches = false;
    }
    return wait = helped ? LOOK_MS : Math.min(2 * wait, LOOK_MS_MAX);
  };
}

/**
 * Looks into the code of programs that are seen for the first time; again and again for those that it could not find. And
 * attaches the hooks that are needed.
 *
 * @param learnt is called when what is known of a program has changed
 */
function checker(
  plane: DataPlane,
  learnt: () => void,
  shortage: Shortage,
  signal: AbortSignal,
): (seenNow?: boolean) => number {
  const { object } = plane;
  let changed = 0;
  let seen = -1;
  let again = 0;
  let settled = 0;
  let wereNew = false;
  let watchAgain = 0;
  const underWay = new Set<string>();
  return (seenNow = false) => {
    const { programs_found, habits_changed } = readLearnt(object);
    const isNew = seenNow || programs_found !== seen;
    if (isNew) settled = performance.now() + SETTLE_MS;
    if (isNew || performance.now() > again) {
      seen = programs_found;
      void attempt(() => checkPrograms(object, underWay, signal), shortage);
      again = performance.now() + ADOPT_MS;
    }
    const areNew = performance.now() < settled;
    // Processes end without a word.
    if (isNew || habits_changed !== changed || areNew !== wereNew || performance.now() > watchAgain) {
      watchPrograms(plane, areNew);
      watchAgain = performance.now() + CHECK_MS;
    }
    if (habits_changed !== changed) learnt();
    changed = habits_changed;
    wereNew = areNew;
    return LOOK_MS;
  };
}

const readLearnt = (object: BpfObject) => readStruct(layouts, "learnt", object.map("learnt").lookup(u32(0))!);

/**
 * Where hooks cost something, attaches all of them at first and while new programs come, else those that the programs need which
 * are there.
 *
 * @param areNew whether a program has come lately, or this process has
 */
function watchPrograms(
  { object, hooks, features, options: { unknownPrograms } }: DataPlane,
  areNew: boolean,
): void {
  const programs = object.map("programs"), control = object.map("control");
  const learning = areNew || someAreUnknown(programs);
  const all = !costWhenIdle(features) || areNew;
  const say = () => {
    const now = readControl(control);
    if (now.learning !== Number(learning) || now.all_watched !== Number(all)) {
      changeControl(control, { learning: Number(learning), all_watched: Number(all) });
    }
  };
  // Nothing counts as seen that was not: said before hooks go, and after they have come.
  if (!all) say();
  hooks.watch(all ? everything : whatCouldBeDone(programs, unknownPrograms));
  if (all) say();
  else noteWatched(object);
}

/** Resets of sockets without callbacks are seen from now on, as long as this process is there to release them. */
function watchResets({ object }: DataPlane): Disposable | undefined {
  try {
    return object.program("sees_reset").attachTrace();
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    log.debug(`${error.message}; resets of sockets without callbacks are seen by scans only`);
    return undefined;
  }
}

function leaver({ object, found }: DataPlane): () => number {
  let wait = LOOK_MS;
  let noted = -1;
  let waiting = 0;
  return () => {
    if (noted < 0 && found === "same maps") releaseHalfWay(object);
    // Also of an empty table of that size it takes a part of a CPU to see that it is empty.
    const { sockets_leaving } = readLearnt(object);
    if (waiting === 0 && noted === sockets_leaving) return LOOK_MS;
    noted = sockets_leaving;
    waiting = releaseLeaving(object);
    const next = wait === LOOK_MS ? LEAVE_MS : 2 * wait;
    return wait = waiting === 0 ? LOOK_MS : Math.min(next, LOOK_MS);
  };
}

class Adopter {
  /** The last of its scans: one is made after the other. */
  adopted: Promise<unknown> = Promise.resolve();
  /** Connections could be adopted if their programs were known. */
  #waiting = false;
  #soonest = 0;
  #scans = 0;
  readonly #report = once((why: string) => log.warn(`${why}; connections that are already open stay on TCP`));

  /** @param reaches every reader can be reached, as far as is known */
  constructor(
    private readonly plane: DataPlane,
    private readonly full: () => void,
    private readonly reaches: boolean,
    private readonly shortage: Shortage,
    private readonly signal: AbortSignal,
  ) {}

  /** Looks now, unless it has taken much of the time lately. */
  adoptSoon(): void {
    if (performance.now() >= this.#soonest) void this.adopt();
  }

  /** Returns in how many milliseconds it is time for the next scan. */
  async adopt({ reapply } = { reapply: false }): Promise<number> {
    const scan = this.adopted.then(() => this.#scan(reapply));
    this.adopted = scan;
    return await scan;
  }

  async #scan(reapply: boolean): Promise<number> {
    const { object, options: { allSockets, unknownPrograms } } = this.plane;
    const started = performance.now();
    try {
      if (this.signal.aborted) return 0;
      const found = await adoptConnections(object, {
        reapply,
        allSockets,
        unknownPrograms,
        signal: this.signal,
      });
      this.#waiting = found.unknown > 0;
      if (found.adopted > 0) log.info(`adopted ${plural(found.adopted, "connection")}`);
      if (found.leaving > 0) {
        log.info(`${plural(found.leaving, "connection")} go over to TCP by the new rules`);
      }
      if (found.full) this.full();
      this.shortage.caused(found.shortage);
      if (found.obstacle && this.reaches) this.#report(found.obstacle);
    } catch (error) {
      if (!this.shortage.caused(error)) this.#report((error as Error).message);
      // Others are looked for again in any case.
      else if (reapply) this.shortage.afterwards(() => void this.adopt({ reapply }));
    }
    // The first scans are slow, and find the most.
    const share = ++this.#scans > FIRST_SCANS ? ADOPT_SHARE : 1;
    const pause = Math.min(share * (performance.now() - started), ADOPT_MS_MAX);
    this.#soonest = performance.now() + pause;
    return Math.max(this.#waiting ? LEARN_MS : ADOPT_MS, pause);
  }
}

/** Looks whether it is still attached, has room, and is refused sockets. */
function checkOn(plane: DataPlane, full: () => void, neighbours: NeighbourWatch): () => number {
  const { object, options: { cgroup, pinDir } } = plane;
  const refusedBefore = readRefused(plane).map_full;
  let attached = true;
  const report = once((error: Error) => log.warn(`${error.message}; tried again every second`));
  return () => {
    const { map_full, other_sockmap } = readRefused(plane);
    if (map_full > refusedBefore) full();
    neighbours.refused(other_sockmap);
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
    } catch (error) {
      if (isThere(cgroup)) report(error as Error);
      return false;
    }
  }
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path) !== undefined;
  } catch {
    return false;
  }
}

function readRefused({ object }: DataPlane): { map_full: number; other_sockmap: number } {
  return readCounters(object.map("counters")).refused;
}

function warnFull({ object }: DataPlane): void {
  const connections = object.map("sockets").info.maxEntries / 2;
  log.warn(
    `the sockhash is full: ${
      plural(connections, "connection")
    } accelerated, more stay on TCP; stop mda and start it with a larger ` +
      "--max-connections",
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
