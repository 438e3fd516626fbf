import { getLogger } from "@logtape/logtape";
import { layouts } from "../../generated/layouts.ts";
import type { DataPlane } from "../data_plane.ts";
import { makeEdges } from "../sockets/edges.ts";
import { someIsBypassed } from "../sockets/handover.ts";
import { LOOK_MS } from "./repeat.ts";
import type { Shortage } from "./shortage.ts";

const log = getLogger("mda");

/** How seldom readers are looked at when none can be helped. */
const LOOK_MS_MAX = 2000;

/**
 * Says that this process is there, and makes edges for readers that were full.
 *
 * @param reaches every reader can be reached: where one cannot, nothing is to be redirected to readers on edges
 * @returns what is to be repeated
 */
export function heartbeat(plane: DataPlane, reaches: boolean, shortage: Shortage): () => number {
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
          }; from now on connections whose readers wait for edges (EPOLLET), stay on TCP, and a program that reads so ` +
            "may have missed bytes that followed a full buffer",
        );
      }
      reaches = false;
    }
    return wait = helped ? LOOK_MS : Math.min(2 * wait, LOOK_MS_MAX);
  };
}
