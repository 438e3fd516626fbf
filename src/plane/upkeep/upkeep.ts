import { getLogger } from "@logtape/logtape";
import { obstacleToOthersSockets } from "../../host/reach.ts";
import { freeUnusedRings } from "../../state/lease.ts";
import type { DataPlane } from "../data_plane.ts";
import { handOver } from "../sockets/handover.ts";
import { memoryKeeper } from "../sockets/memory.ts";
import { ADOPT_MS, Adopter } from "./adopter.ts";
import { attachment, warnFull } from "./attachment.ts";
import { Behind } from "./behind.ts";
import { handleEvents } from "./events.ts";
import { heartbeat } from "./heartbeat.ts";
import { learner } from "./learner.ts";
import { leaver } from "./leaver.ts";
import { NeighbourWatch } from "./neighbour_watch.ts";
import { attempt, CHECK_MS, LOOK_MS, once, repeat } from "./repeat.ts";
import { watchResets } from "./resets.ts";
import { Shortage } from "./shortage.ts";

const log = getLogger("mda");

export interface UpkeepOptions {
  /** Whether connections that are there are put into the sockhash; asked each time, as a reload may change it. */
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
 * looks into the code of new programs, releases sockets that want to leave, adopts connections,
 * attaches to the cgroup again when it was removed and is back, frees what killed listeners have left, and warns when the sockhash is
 * full and of neighbours. One file a duty; this one says which there are, and what calls them in time.
 */
export function startUpkeep(plane: DataPlane, options: UpkeepOptions): Upkeep {
  const ending = new AbortController();
  const { signal } = ending;
  const scans = plane.features.iterates_files;
  const obstacle = scans
    ? obstacleToOthersSockets()
    : "This kernel refuses programs that look at descriptors";
  if (obstacle) {
    log.warn(
      `${obstacle}; connections ${
        options.adopt ? alreadyOpen : ""
      }whose readers wait for edges (EPOLLET), stay on TCP`,
    );
  }
  const full = once(() => warnFull(plane));
  const shortage = new Shortage();
  const adopter = new Adopter(plane, full, obstacle === undefined, shortage, signal);
  const keepDoing = (action: () => number | Promise<number>) => repeat(action, shortage, signal);
  keepDoing(leaver(plane));
  const adoptSoon = () => options.adopt && scans && adopter.adoptSoon();
  const learn = learner(plane, adoptSoon, shortage, signal);
  keepDoing(() => learn());
  const behind = scans && obstacle === undefined ? new Behind(plane.object, shortage, signal) : undefined;
  const programSeen = () => attempt(() => learn(true), shortage);
  const handling = handleEvents(plane.object, programSeen, behind, shortage, signal);
  const memory = memoryKeeper(
    plane.object,
    scans && obstacle === undefined,
    adoptSoon,
  );
  keepDoing(memory);
  const resets = plane.features.sees_resets ? watchResets(plane) : undefined;
  const neighbours = new NeighbourWatch({ ...plane.options, signal });
  keepDoing(() => neighbours.look());
  keepDoing(() => (freeUnusedRings((name) => plane.object.map(name)), CHECK_MS));
  keepDoing(attachment(plane, full, neighbours));
  if (scans) {
    keepDoing(heartbeat(plane, obstacle === undefined, shortage));
    keepDoing(() => (handOver(plane.object), LOOK_MS));
    keepDoing(() => options.adopt ? adopter.adopt() : ADOPT_MS);
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
      await behind?.ended;
      await neighbours.searched;
    },
  };
}

const alreadyOpen = "that are already open, and those ";
