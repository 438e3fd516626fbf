import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import { unpin } from "../../libbpf/handle.ts";
import type { BpfObject } from "../../libbpf/object.ts";
import { removePinDirectory, removePins } from "../../host/bpffs.ts";
import { openCgroup } from "../../host/cgroup.ts";
import { changeControl } from "../../state/control.ts";
import { probeKernel } from "../../checks/features.ts";
import { whatIsPinned } from "../../state/found.ts";
import { everything, Hooks } from "../programs/hooks.ts";
import { describeInstance } from "../../state/instance.ts";
import { attach } from "../attach.ts";
import type { DataPlane, StartOptions } from "../data_plane.ts";
import { loadDataPlane } from "../object.ts";
import { drainName, mapNames, nextDrainName, openMaps, pinsIn } from "../../state/pins.ts";
import { layoutHash } from "../../state/version.ts";
import { checkStorage } from "../../checks/storage.ts";
import { unknownNumber } from "../../state/programs.ts";
import { openRetired, type Retired } from "./retired.ts";
import { forgetReloads } from "../../state/requests.ts";
import { replaceRules } from "../../state/rules.ts";

const log = getLogger("mda");

/** What {@link startDataPlane} has started. */
export interface StartedDataPlane extends DataPlane {
  /** The maps of another version, whose connections are to be drained. */
  retired?: Retired;
}

/**
 * Loads, pins and attaches the data plane. The caller has locked the pin directory, so that what is pinned there belongs
 * to no other process. Maps that are alike are used on, and their connections with them, whichever version they are of:
 * only the programs are replaced. The connections in other maps go on, and are to be drained by the caller.
 *
 * @throws Error; what was accelerated before is then still accelerated if its maps could have been used on, else on TCP
 */
export async function startDataPlane(options: StartOptions): Promise<StartedDataPlane> {
  const { cgroup, pinDir, pid, allSockets, unknownPrograms, maxConnections } = options;
  const features = probeKernel();
  checkStorage(features);
  if (features.hooks === "none" && unknownPrograms !== "fast") {
    log.warn(
      "this kernel refuses programs that see how others use their sockets, so nothing can be learnt and all connections stay " +
        "on TCP; --unknown fast accelerates them, if no program here uses splice(2) on its sockets",
    );
  }
  const layout = await layoutHash();
  const found = await whatIsPinned(pinDir);
  openCgroup(cgroup)[Symbol.dispose]();
  const reuse = found === "same maps" ? openMaps(pinDir) : undefined;
  let object: BpfObject | undefined;
  let retired: Retired | undefined;
  let mine = found === "nothing";
  try {
    object = loadDataPlane({ features, allSockets, unknownPrograms, maxConnections, reuse });
    if (reuse) warnOfSize(object, maxConnections);
    if (found === "other maps") {
      retired = openRetired(pinDir);
      retired.pass();
      removePins(pinDir, pinsIn(pinDir));
      mine = true;
    }
    describeInstance(object.map("instance"), {
      pid,
      rules: options.rules.length,
      started_ms: Date.now(),
      layout,
      all_sockets: Number(allSockets),
      unknown_programs: unknownNumber(unknownPrograms),
      hooks: features.hooks,
      cgroup,
      config: options.config,
    });
    forgetReloads(object.map("reload_requests"));
    replaceRules(object, options.rules, "MODE_REDIRECT");
    object.program("redirect").attachToSockets(object.map("sockets"));
    if (!reuse) { for (const name of mapNames) object.map(name).pin(join(pinDir, name)); }
    pinDrain(object, pinDir);
    const hooks = new Hooks(object, features, pinDir);
    hooks.watch(everything);
    changeControl(object.map("control"), { all_watched: 1, learning: 1 });
    attach(object, cgroup, pinDir);
    const kept = object;
    return { object, features, hooks, options, found, retired, [Symbol.dispose]: () => kept.close() };
  } catch (error) {
    object?.close();
    retired?.[Symbol.dispose]();
    if (mine) removePinDirectory(pinDir, pinsIn(pinDir));
    throw error;
  } finally {
    for (const map of Object.values(reuse ?? {})) map.close();
  }
}

function warnOfSize(object: BpfObject, wanted: number | undefined): void {
  const connections = object.map("sockets").info.maxEntries / 2;
  if (wanted === undefined || wanted === connections) return;
  log.warn(
    `there is room for ${connections} connections and not for ${wanted}: maps that are used on keep their size; ` +
      "mda disable removes them",
  );
}

/** Of the version whose programs work now, since it is for them that it takes sockets out. */
function pinDrain(object: BpfObject, pinDir: string): void {
  const next = join(pinDir, nextDrainName);
  unpin(next);
  object.program(drainName).pin(next);
  Deno.renameSync(next, join(pinDir, drainName));
}
