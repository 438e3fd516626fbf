import { join } from "node:path";
import { BpfLink } from "../bpf/link.ts";
import { BpfMap } from "../bpf/map.ts";

/** Every map of the data plane; each is pinned under its name. */
export const mapNames = [
  "sockets",
  "links",
  "answers",
  "listeners",
  "clients",
  "servers",
  "behind",
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

/** The pin of the sockops program's attachment to the cgroup. */
export const linkName = "follow";

/** Where the attachment is pinned while it replaces another. */
export const nextLinkName = "follow-next";

export const pinNames: readonly string[] = [...mapNames, linkName, nextLinkName];

/** A map that a data plane has pinned; undefined when there is none. */
export function openPinnedMap(pinDir: string, name: MapName): BpfMap | undefined {
  return BpfMap.openPinned(join(pinDir, name));
}

/** The attachment that a data plane has pinned; undefined when there is none. */
export function openPinnedLink(pinDir: string, name: string = linkName): BpfLink | undefined {
  return BpfLink.openPinned(join(pinDir, name));
}
