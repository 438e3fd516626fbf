import { getLogger } from "@logtape/logtape";
import { BpfError } from "../../libbpf/errors.ts";
import type { DataPlane } from "../data_plane.ts";

const log = getLogger("mda");

/** Resets of sockets without callbacks are seen from now on, as long as this process is there to release them. */
export function watchResets({ object }: DataPlane): Disposable | undefined {
  try {
    return object.program("sees_reset").attachTrace();
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    log.debug(`${error.message}; resets of sockets without callbacks are seen by scans only`);
    return undefined;
  }
}
