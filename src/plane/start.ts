import { join } from "node:path";
import { checkKernelFeatures } from "../bpf/features.ts";
import { layouts } from "../bpf/layouts.ts";
import type { BpfLink } from "../bpf/link.ts";
import type { BpfMap } from "../bpf/map.ts";
import type { BpfObject } from "../bpf/object.ts";
import { readStruct, u32 } from "../bpf/struct.ts";
import type { Rule } from "../config/rules.ts";
import { removePinDirectory } from "../host/bpffs.ts";
import { openCgroup } from "../host/cgroup.ts";
import { changeControl } from "./control.ts";
import { type KernelFeatures, probeKernel } from "./features.ts";
import { describeInstance } from "./instance.ts";
import { layoutHash, loadDataPlane, openMaps } from "./object.ts";
import {
  drainName,
  linkName,
  type MapName,
  mapNames,
  nextLinkName,
  openPinnedLink,
  openPinnedMap,
  pinNames,
} from "./pins.ts";
import { openRetired, type Retired } from "./retired.ts";
import { replaceRules } from "./rules.ts";

export interface StartOptions {
  rules: Rule[];
  /** The cgroup's directory; sockets below it are followed. */
  cgroup: string;
  /** The configuration's file, for those who look. */
  config: string;
  pinDir: string;
  /** Also sockets in blocking mode. */
  allSockets: boolean;
  /** How many connections can be accelerated at once. */
  maxConnections?: number;
  /** Whose data plane it is: this process's number, or 0 when it is left to itself. */
  pid: number;
}

/** A data plane that works. Closing it lets go of it without stopping it: what is pinned stays. */
export interface DataPlane extends Disposable {
  object: BpfObject;
  features: KernelFeatures;
  options: StartOptions;
  /** What was there before. */
  found: Found;
  /** The maps of another version, whose connections are to be drained. */
  retired?: Retired;
}

/** Nothing; maps that can be used on, with their connections; maps of another version. */
export type Found = "nothing" | "same maps" | "other maps";

/**
 * Loads, pins and attaches the data plane. The caller has locked the pin directory, so that what is pinned there belongs
 * to no other process. Maps that are alike are used on, and their connections with them, whichever version they are of:
 * only the programs are replaced. The connections in other maps go on, and are to be drained by the caller.
 *
 * @throws Error; what was accelerated before is then still accelerated if its maps could have been used on, else on TCP
 */
export async function startDataPlane(options: StartOptions): Promise<DataPlane> {
  const { cgroup, pinDir, pid, allSockets, maxConnections } = options;
  checkKernelFeatures();
  const features = probeKernel();
  const layout = await layoutHash();
  const found = whatIsPinned(pinDir, layout);
  openCgroup(cgroup)[Symbol.dispose]();
  const reuse = found === "same maps" ? openMaps(pinDir) : undefined;
  let object: BpfObject | undefined;
  let retired: Retired | undefined;
  let mine = found === "nothing";
  try {
    object = loadDataPlane({ features, allSockets, maxConnections, reuse });
    if (found === "other maps") {
      retired = openRetired(pinDir);
      retired.pass();
      removePinDirectory(pinDir, pinNames);
      mine = true;
    }
    describeInstance(object.map("instance"), {
      pid,
      rules: options.rules.length,
      started_ms: Date.now(),
      layout,
      reloads: 0,
      reload_failed: 0,
      reapply: 0,
      stayed: 0,
      all_sockets: Number(allSockets),
      cgroup,
      config: options.config,
    });
    replaceRules(object, options.rules, "MODE_REDIRECT");
    object.program("redirect").attachToSockets(object.map("sockets"));
    if (!reuse) { for (const name of mapNames) object.map(name).pin(join(pinDir, name)); }
    pinDrain(object, pinDir);
    attach(object, cgroup, pinDir);
    const kept = object;
    return { object, features, options, found, retired, [Symbol.dispose]: () => kept.close() };
  } catch (error) {
    object?.close();
    retired?.[Symbol.dispose]();
    if (mine) removePinDirectory(pinDir, pinNames);
    throw error;
  } finally {
    for (const map of Object.values(reuse ?? {})) map.close();
  }
}

/** Of the version whose programs work now, since it is for them that it takes sockets out. */
function pinDrain(object: BpfObject, pinDir: string): void {
  const next = join(pinDir, `${drainName}-next`);
  removeIfThere(next);
  object.program(drainName).pin(next);
  Deno.renameSync(next, join(pinDir, drainName));
}

/** Attaches the sockops program to a cgroup, in the place of what is attached already. */
export function attach(object: BpfObject, cgroup: string, pinDir: string): void {
  const program = object.program("follow");
  using directory = openCgroup(cgroup);
  changeControl(object.map("control"), { cgroup_id: directory.id });
  using before = openPinnedLink(pinDir);
  // One step, in which no connection is missed, and none seen twice.
  if (before?.info().cgroupId === directory.id) return before.update(program);
  using link = program.attachCgroup(directory.fd);
  pinInPlace(link, before, pinDir);
}

/** Both are attached for a moment: the second to see an event finds nothing left to do. */
function pinInPlace(link: BpfLink, before: BpfLink | undefined, pinDir: string): void {
  const place = join(pinDir, linkName);
  if (!before) return link.pin(place);
  const next = join(pinDir, nextLinkName);
  removeIfThere(next);
  link.pin(next);
  before.detach();
  Deno.renameSync(next, place);
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function whatIsPinned(pinDir: string, layout: string): Found {
  if (![...Deno.readDirSync(pinDir)].some(({ name }) => pinNames.includes(name))) return "nothing";
  using instance = openPinnedMap(pinDir, "instance");
  return instance && layoutOf(instance) === layout && mapNames.every((name) => isPinned(pinDir, name))
    ? "same maps"
    : "other maps";
}

/** Undefined for versions whose struct instance is another. */
function layoutOf(instance: BpfMap): string | undefined {
  if (instance.info.valueBytes !== layouts.instance.size) return undefined;
  const value = instance.lookup(u32(0));
  return value && readStruct(layouts, "instance", value).layout;
}

function isPinned(pinDir: string, name: MapName): boolean {
  using map = openPinnedMap(pinDir, name);
  return map !== undefined;
}
