import { getLogger } from "@logtape/logtape";
import type { BpfObject } from "../../libbpf/object.ts";
import { checkHost } from "../../host/kernel.ts";
import { makeEdges, someAreBehind } from "../sockets/edges.ts";
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

/** Wakes those that can be: see makeEdges(). */
export function wake(object: BpfObject): void {
  if (!someAreBehind(object)) return;
  try {
    makeEdges(object);
  } catch (error) {
    log.debug(`a reader could not be woken: ${(error as Error).message}`);
  }
}
