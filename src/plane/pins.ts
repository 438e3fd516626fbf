import { join } from "node:path";
import { BpfLink } from "../bpf/link.ts";
import { BpfMap } from "../bpf/map.ts";
import { BpfProgram } from "../bpf/program.ts";

/** Every map of the data plane; each is pinned under its name. */
export const mapNames = [
  "sockets",
  "links",
  "answers",
  "listeners",
  "clients",
  "servers",
  "left",
  "leaving",
  "behind",
  "readers",
  "control",
  "instance",
  "counters",
  "rule_sets",
  "rule_addresses",
  "rule_ports",
  "rule_owners",
  "rule_decisions",
] as const;

export type MapName = typeof mapNames[number];

/** The program that takes sockets out: pinned, so that every version can stop every other. */
export const drainName = "drain";

/** The pin of the sockops program's attachment to the cgroup. */
export const linkName = "follow";

/** Where the attachment is pinned while it replaces another. */
export const nextLinkName = "follow-next";

export const pinNames: readonly string[] = [...mapNames, drainName, linkName, nextLinkName];

/** A map that a data plane has pinned; undefined when there is none. */
export function openPinnedMap(pinDir: string, name: MapName): BpfMap | undefined {
  return BpfMap.openPinned(join(pinDir, name));
}

/** The program that takes sockets out, of whatever version; undefined when it is not pinned. */
export function openPinnedDrain(pinDir: string): BpfProgram | undefined {
  return BpfProgram.openPinned(join(pinDir, drainName));
}

/** The attachment that a data plane has pinned; undefined when there is none. */
export function openPinnedLink(pinDir: string, name: string = linkName): BpfLink | undefined {
  return BpfLink.openPinned(join(pinDir, name));
}

/** Whether the data plane follows the sockets of a cgroup: a link outlives its cgroup, attached to nothing. */
export function isAttached(pinDir: string): boolean {
  return [linkName, nextLinkName].some((name) => {
    using link = openPinnedLink(pinDir, name);
    return link !== undefined && link.info().cgroupId !== 0n;
  });
}
