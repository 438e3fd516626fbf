import { setTimeout as sleep } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import type { BpfObject } from "../../libbpf/object.ts";
import { checkHost } from "../../host/kernel.ts";
import { isShortage } from "../../host/descriptors.ts";
import { makeEdges, someAreBehind } from "../sockets/edges.ts";
import { handOver } from "../sockets/handover.ts";
import { probeKernel } from "../../checks/features.ts";
import { whatIsPinned } from "../../state/found.ts";
import { openMaps } from "../../state/pins.ts";
import { loadDataPlane } from "../object.ts";

const log = getLogger("mda");

/** Wakes readers that a killed mda has left waiting for an edge. */
export interface Waker extends Disposable {
  wake(): void;
}

/**
 * Makes it possible to wake readers of what is pinned in a directory; undefined when none is known to wait, or when that is
 * of another version or beyond this process.
 */
export async function openWaker(pinDir: string): Promise<Waker | undefined> {
  if (await whatIsPinned(pinDir) !== "same maps") return undefined;
  const maps = openMaps(pinDir);
  try {
    if (!someAreBehind({ map: (name) => maps[name as keyof typeof maps] })) return undefined;
    checkHost();
    const features = probeKernel();
    if (!features.iterates_files) return undefined;
    const object = loadDataPlane({ features, allSockets: false, unknownPrograms: "learn", reuse: maps });
    return { wake: () => wake(object), [Symbol.dispose]: () => object.close() };
  } catch (error) {
    log.debug(`readers cannot be woken: ${(error as Error).message}`);
    return undefined;
  } finally {
    for (const map of Object.values(maps)) map.close();
  }
}

/** Said of readers for whom nobody is there. */
export const someMayWait =
  "some readers that were full may wait until the next mda run or mda disable wakes them";

/** A send that was under way may still have redirected to a reader on edges. */
const SETTLE_MS = 100;
const LOOK_MS = 5;

/**
 * Helps readers as long as some may need it, once nothing more is redirected to those on edges.
 *
 * @param ms at most so long
 * @returns whether some may still wait for an edge, which the next mda makes
 */
export async function helpFor(object: BpfObject, ms: number, signal?: AbortSignal): Promise<boolean> {
  const started = performance.now();
  for (let past = 0; !signal?.aborted && (past < SETTLE_MS || past < ms && someAreBehind(object));) {
    help(object);
    await sleep(LOOK_MS);
    past = performance.now() - started;
  }
  return someAreBehind(object);
}

/** Wakes readers that were full, and hands over what programs that have begun to splice wait for. */
export function help(object: BpfObject): void {
  wake(object);
  try {
    handOver(object);
  } catch (error) {
    if (!isShortage(error)) throw error;
    log.debug(`not handed over: ${error.message}`);
  }
}

/** Wakes those that can be: see makeEdges(). */
export function wake(object: BpfObject): void {
  if (!someAreBehind(object)) return;
  try {
    makeEdges(object);
  } catch (error) {
    log.debug(`a reader could not be woken: ${(error as Error).message}`);
  }
}
