import { readLearnt } from "../../state/learnt.ts";
import type { DataPlane } from "../data_plane.ts";
import { releaseHalfWay, releaseLeaving } from "../sockets/release.ts";
import { LOOK_MS } from "./repeat.ts";

/** How soon again when some want to leave: each send of theirs costs more than it needs to. */
const LEAVE_MS = 10;

/** Releases the sockets that want to leave. Returns what is to be repeated. */
export function leaver({ object, found }: DataPlane): () => number {
  let wait = LOOK_MS;
  let noted = -1;
  let waiting = 0;
  return () => {
    if (noted < 0 && found === "same maps") releaseHalfWay(object);
    // Also of an empty table of that size it takes a part of a CPU to see that it is empty.
    const { sockets_leaving } = readLearnt(object.map("learnt"));
    if (waiting === 0 && noted === sockets_leaving) return LOOK_MS;
    noted = sockets_leaving;
    waiting = releaseLeaving(object);
    const next = wait === LOOK_MS ? LEAVE_MS : 2 * wait;
    return wait = waiting === 0 ? LOOK_MS : Math.min(next, LOOK_MS);
  };
}
