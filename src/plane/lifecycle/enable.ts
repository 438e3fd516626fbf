import { resolve } from "node:path";
import { removePinDirectory } from "../../host/bpffs.ts";
import { findCgroup, findCgroup2 } from "../../host/cgroup.ts";
import type { Rule } from "../../rules/rules.ts";
import { checkHost } from "../../host/kernel.ts";
import { takePinDirectory } from "../../host/lock.ts";
import { type Adoption, adoptOnceKnown } from "../sockets/adopt.ts";
import { changeControl, readControl } from "../../state/control.ts";
import type { Found } from "../../state/found.ts";
import { reportNeighbours } from "../upkeep/neighbour_watch.ts";
import { attachedCgroupId } from "../../state/pins.ts";
import type { UnknownPrograms } from "../../config/unknown.ts";
import { checkPrograms } from "../programs/programs.ts";
import { startDataPlane, type StartedDataPlane } from "./start.ts";
import { helpFor } from "./waker.ts";
import { releaseHalfWay, releaseLeaving } from "../sockets/release.ts";

/** How long connections in the maps of another version are waited for. */
const RETIRE_MS = 1000;
/** How long readers are waited for that a process which was killed has left full. */
const BEHIND_MS = 2000;

export interface EnableOptions {
  /** What the file says. */
  rules: Rule[];
  /** The configuration's file. */
  config: string;
  /** The cgroup's directory. When absent: that of what is enabled, else the whole host. */
  cgroup?: string;
  pinDir: string;
  sockets: "nonblocking" | "all";
  unknown: UnknownPrograms;
  /** Whether connections that are there are put into the sockhash. */
  adopt: boolean;
  maxConnections?: number;
}

export interface Enabled {
  rules: number;
  cgroup: string;
  found: Found;
  adoption: Adoption | undefined;
  /** Readers that were full may wait for an edge still. */
  someAreBehind: boolean;
}

/** Pins and attaches the data plane and leaves it to itself; what is enabled already gets the new rules. */
export async function enableDataPlane(options: EnableOptions): Promise<Enabled> {
  const { pinDir, maxConnections, rules } = options;
  const config = resolve(options.config);
  checkHost();
  using _lock = takePinDirectory(pinDir);
  try {
    const cgroup = options.cgroup ?? attachedCgroup(pinDir) ?? findCgroup2();
    const allSockets = options.sockets === "all", unknownPrograms = options.unknown;
    using plane = await startDataPlane({
      rules,
      cgroup,
      config,
      pinDir,
      allSockets,
      unknownPrograms,
      maxConnections,
      pid: 0,
    });
    using retired = plane.retired;
    await retired?.drain(RETIRE_MS);
    if (plane.found === "same maps") {
      releaseHalfWay(plane.object);
      releaseLeaving(plane.object);
    }
    const someAreBehind = await helpAfterKill(plane);
    await checkPrograms(plane.object);
    const adoption = options.adopt && plane.features.iterates_files
      ? await adoptOnceKnown(plane.object, { reapply: false, allSockets, unknownPrograms })
      : undefined;
    await checkPrograms(plane.object);
    await reportNeighbours({ pinDir, cgroup });
    return { rules: rules.length, cgroup, found: plane.found, adoption, someAreBehind };
  } finally {
    removePinDirectory(pinDir, []);
  }
}

/**
 * Looks after readers in the place of a process that was killed: until its heartbeat is over, those on edges would be taken for cared
 * for. One that has ended in order has left none.
 *
 * @returns whether some may wait for an edge still
 */
async function helpAfterKill({ object, features }: StartedDataPlane): Promise<boolean> {
  const control = object.map("control");
  if (readControl(control).heartbeat_until === 0n) return false;
  changeControl(control, { heartbeat_until: 0n, heartbeat_from: 0 });
  return features.iterates_files && await helpFor(object, BEHIND_MS);
}

/** The directory of the cgroup that a data plane of whatever version follows; undefined when there is none. */
function attachedCgroup(pinDir: string): string | undefined {
  const id = attachedCgroupId(pinDir);
  if (id === undefined) return undefined;
  const path = findCgroup(id);
  if (path === undefined) {
    throw new Error(`Cannot find the cgroup that is enabled at ${pinDir}; name it with --cgroup`);
  }
  return path;
}
