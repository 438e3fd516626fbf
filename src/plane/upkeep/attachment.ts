import { getLogger } from "@logtape/logtape";
import { isAttached } from "../../state/pins.ts";
import { plural } from "../../text/plural.ts";
import { readCounters } from "../../views/counters.ts";
import { attach } from "../attach.ts";
import type { DataPlane } from "../data_plane.ts";
import type { NeighbourWatch } from "./neighbour_watch.ts";
import { CHECK_MS, once } from "./repeat.ts";

const log = getLogger("mda");

/** Looks whether it is still attached, has room, and is refused sockets. */
export function attachment(plane: DataPlane, full: () => void, neighbours: NeighbourWatch): () => number {
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

export function warnFull({ object }: DataPlane): void {
  const connections = object.map("sockets").info.maxEntries / 2;
  log.warn(
    `the sockhash is full: ${
      plural(connections, "connection")
    } accelerated, more stay on TCP; stop mda and start it with a larger ` +
      "--max-connections",
  );
}
