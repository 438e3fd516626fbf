import { join } from "node:path";
import { maps } from "../generated/layouts.ts";
import { BpfLink } from "../libbpf/link.ts";
import { BpfMap } from "../libbpf/map.ts";
import type { ExpectedMap } from "../libbpf/map_info.ts";
import { BpfProgram } from "../libbpf/program.ts";
import { namesIn } from "../host/bpffs.ts";

/** Every map of the data plane; each is pinned under its name. */
export const mapNames = [
  "sockets",
  "lanes",
  "answers",
  "pairings",
  "connecting",
  "pasts",
  "listeners",
  "departures",
  "leaving",
  "edges_wanted",
  "edges_at_once",
  "readers",
  "programs",
  "learnt",
  "outsiders",
  "listening",
  "bypassed",
  "events",
  "refusals",
  "refused_kinds",
  "refused_lately",
  "traces",
  "tracing",
  "dumps",
  "dumping",
  "dump_heads",
  "control",
  "instance",
  "reload_requests",
  "pass_requests",
  "passing_until",
  "counters",
  "histograms",
  "rule_histograms",
  "refused_errors",
  "rule_sets",
  "rule_addresses",
  "rule_ports",
  "rule_owners",
  "rule_decisions",
] as const;

export type MapName = typeof mapNames[number];

/** The program that takes sockets out: pinned, so that every version can stop every other. */
export const drainName = "drain";

/** Where that is pinned while it replaces another. */
export const nextDrainName = "drain-next";

/** The pin of the sockops program's attachment to the cgroup. */
export const linkName = "follow";

/** Where the attachment is pinned while it replaces another. */
export const nextLinkName = "follow-next";

/** The pins of what sees what programs do with their sockets. */
export const hookNames = [
  "sees_splice",
  "sees_mmap",
  "sees_getsockopt",
  "sees_ioctl",
  "sees_inq",
  "sees_system_calls",
] as const;

export type HookName = typeof hookNames[number];

/** Where one of these is pinned while it replaces another. */
export function nextHookName(name: HookName): string {
  return `${name}-next`;
}

const pinNames: readonly string[] = [
  ...mapNames,
  drainName,
  nextDrainName,
  linkName,
  nextLinkName,
  ...hookNames.flatMap((name) => [name, nextHookName(name)]),
];

/** What every version pins. */
const markName = "control";

/**
 * What a data plane, of whatever version, has pinned in a directory: where one has pinned anything, all is its own. The
 * names are in the order in which they are to be removed.
 */
export function pinsIn(pinDir: string): string[] {
  const names = namesIn(pinDir);
  if (!names.includes(markName)) return names.filter((name) => pinNames.includes(name));
  return [...names.filter((name) => name !== markName), markName];
}

/** What each version's maps are that others use. */
const known: Partial<Record<MapName, ExpectedMap>> = {
  sockets: { type: maps.sockets.type, keyBytes: 8 },
  control: { type: maps.control.type, maxEntries: 1 },
};

/**
 * A map that a data plane has pinned; undefined when there is none.
 *
 * @throws Error when it is another program's
 */
export function openPinnedMap(pinDir: string, name: MapName): BpfMap | undefined {
  return BpfMap.openPinned(join(pinDir, name), { name, ...known[name] });
}

/**
 * The program that takes sockets out, of whatever version; undefined when it is not pinned.
 *
 * @throws Error when it is another program's
 */
export function openPinnedDrain(pinDir: string, name: string = drainName): BpfProgram | undefined {
  const path = join(pinDir, name);
  const program = BpfProgram.openPinned(path);
  if (!program || program.info.name === drainName) return program;
  program.close();
  throw new Error(
    `Cannot use the program pinned at ${path}: its name is ${program.info.name} and not ${drainName}; it belongs to ` +
      "another program, choose another directory with --pin-dir",
  );
}

/** @throws Error when one of the names that a data plane pins is another program's */
export function checkPins(pinDir: string): void {
  for (const name of mapNames) openPinnedMap(pinDir, name)?.close();
  for (const name of [drainName, nextDrainName]) openPinnedDrain(pinDir, name)?.close();
  for (const name of [linkName, nextLinkName]) openPinnedLink(pinDir, name)?.close();
}

/** The attachment that a data plane has pinned; undefined when there is none. */
export function openPinnedLink(pinDir: string, name: string = linkName): BpfLink | undefined {
  return BpfLink.openPinned(join(pinDir, name));
}

/**
 * The number of the cgroup whose sockets the data plane follows; undefined when there is none: a link outlives its cgroup,
 * attached to nothing.
 */
export function attachedCgroupId(pinDir: string): bigint | undefined {
  for (const name of [linkName, nextLinkName]) {
    using link = openPinnedLink(pinDir, name);
    const id = link?.info().cgroupId;
    if (id) return id;
  }
  return undefined;
}

export function isAttached(pinDir: string): boolean {
  return attachedCgroupId(pinDir) !== undefined;
}

/** The maps that are pinned, by their names; the caller closes them. */
export function openMaps(pinDir: string): Record<MapName, BpfMap> {
  return Object.fromEntries(mapNames.map((name) => [name, openPinnedMap(pinDir, name)!])) as Record<
    MapName,
    BpfMap
  >;
}
