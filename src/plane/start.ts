import { join } from "node:path";
import objectBytes from "../../build/mda.bpf.o" with { type: "bytes" };
import { checkKernelFeatures } from "../bpf/features.ts";
import { layouts, maps } from "../bpf/layouts.ts";
import type { BpfLink } from "../bpf/link.ts";
import { type BpfMap, possibleCpus } from "../bpf/map.ts";
import { type BpfObject, openObject } from "../bpf/object.ts";
import { readStruct, u32, writeStruct } from "../bpf/struct.ts";
import type { Rule } from "../config/rules.ts";
import { removePinDirectory } from "../host/bpffs.ts";
import { openCgroup } from "../host/cgroup.ts";
import * as libc from "../host/libc.ts";
import { type KernelFeatures, probeKernel } from "./features.ts";
import {
  linkName,
  type MapName,
  mapNames,
  nextLinkName,
  openPinnedLink,
  openPinnedMap,
  pinNames,
} from "./pins.ts";
import { replaceRules } from "./rules.ts";
import { setMode } from "./stop.ts";

export interface StartOptions {
  rules: Rule[];
  /** The cgroup's directory; sockets below it are followed. */
  cgroup: string;
  /** The configuration's file, for those who look. */
  config: string;
  pinDir: string;
  /** Also sockets in blocking mode. */
  allSockets: boolean;
}

/** A data plane that works. Closing it lets go of it without stopping it: what is pinned stays. */
export interface DataPlane extends Disposable {
  object: BpfObject;
  link: BpfLink;
  features: KernelFeatures;
  /** What was there before, left by a process that did not stop in order. */
  found: "nothing" | "same version" | "other version";
}

/**
 * Loads, pins and attaches the data plane. The caller has locked the pin directory, so that what is pinned there belongs
 * to nobody: of the same version its maps are used on, and its connections with them; of another, its connections are
 * left on TCP.
 *
 * @throws Error, after which nothing is left that was not there before
 */
export async function startDataPlane(options: StartOptions): Promise<DataPlane> {
  const { cgroup, pinDir } = options;
  checkKernelFeatures();
  const features = probeKernel();
  const hash = await objectHash();
  const found = whatIsPinned(pinDir, hash);
  if (found === "other version") retire(pinDir);

  const reuse = found === "same version" ? openMaps(pinDir) : {};
  let object: BpfObject | undefined;
  let link: BpfLink | undefined;
  try {
    object = openObject(objectBytes, "mda", {
      rodata: { ...features, all_sockets: options.allSockets },
      maxEntries: found === "same version" ? {} : { answers: handshakes(), clients: handshakes() },
      reuse,
    });
    object.load();
    describe(object, options, hash);
    replaceRules(object, options.rules, "MODE_REDIRECT");
    object.program("redirect").attachToSockets(object.map("sockets"));
    if (found !== "same version") {
      for (const name of mapNames) object.map(name).pin(join(pinDir, name));
    }
    link = attach(object, cgroup);
    pinInPlace(link, pinDir);
    const [keptObject, keptLink] = [object, link];
    return {
      object,
      link,
      features,
      found,
      [Symbol.dispose]() {
        keptLink.close();
        keptObject.close();
      },
    };
  } catch (error) {
    link?.close();
    object?.close();
    if (found !== "same version") removePinDirectory(pinDir, pinNames);
    throw error;
  } finally {
    for (const map of Object.values(reuse)) map.close();
  }
}

/** An LRU map keeps up to 128 free elements on each CPU (LOCAL_FREE_TARGET, kernel/bpf/bpf_lru_list.c). */
function handshakes(): number {
  return Math.max(maps.answers.maxEntries, 512 * possibleCpus());
}

function attach(object: BpfObject, cgroup: string): BpfLink {
  const fd = openCgroup(cgroup);
  try {
    return object.program("follow").attachCgroup(fd);
  } finally {
    libc.close(fd);
  }
}

/** Both are attached for a moment: the second to see an event finds nothing left to do. */
function pinInPlace(link: BpfLink, pinDir: string): void {
  const place = join(pinDir, linkName);
  using before = openPinnedLink(pinDir);
  if (!before) return link.pin(place);
  const next = join(pinDir, nextLinkName);
  openPinnedLink(pinDir, nextLinkName)?.unpin();
  link.pin(next);
  before.detach();
  Deno.removeSync(place);
  Deno.renameSync(next, place);
}

function describe(object: BpfObject, { rules, cgroup, config }: StartOptions, hash: string): void {
  const value = writeStruct(layouts, "instance", {
    pid: Deno.pid,
    rules: rules.length,
    started_ms: Date.now(),
    object: hash,
    cgroup,
    config,
  });
  object.map("instance").update(u32(0), value);
}

function whatIsPinned(pinDir: string, hash: string): DataPlane["found"] {
  if (![...Deno.readDirSync(pinDir)].some(({ name }) => pinNames.includes(name))) return "nothing";
  using instance = openPinnedMap(pinDir, "instance");
  if (!instance || instance.info.valueBytes !== layouts.instance.size) return "other version";
  const value = instance.lookup(u32(0));
  const same = value && readStruct(layouts, "instance", value).object === hash;
  return same && mapNames.every((name) => isPinned(pinDir, name)) ? "same version" : "other version";
}

function isPinned(pinDir: string, name: MapName): boolean {
  using map = openPinnedMap(pinDir, name);
  return map !== undefined;
}

function openMaps(pinDir: string): Record<string, BpfMap> {
  return Object.fromEntries(mapNames.map((name) => [name, openPinnedMap(pinDir, name)!]));
}

/** Takes another version's data plane out of service: its sockets pass to TCP until they close. */
function retire(pinDir: string): void {
  using control = openPinnedMap(pinDir, "control");
  if (control) setMode(control, "MODE_PASS");
  using link = openPinnedLink(pinDir);
  link?.detach();
  const left = removePinDirectory(pinDir, pinNames);
  if (left.includes("control")) {
    throw new Error(`Cannot clear ${pinDir}: ${left.join(", ")} cannot be removed`);
  }
}

async function objectHash(): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", objectBytes);
  return new Uint8Array(digest).toHex().slice(0, layouts.instance.fields.object.size - 1);
}
