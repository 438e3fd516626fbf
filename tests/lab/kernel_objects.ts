import { mapNames, openPinnedMap } from "../../src/state/pins.ts";
import { run } from "./program.ts";
import { waitFor } from "./wait.ts";

/** What of the kernel's belongs to a data plane, by id. */
export interface KernelObjects {
  programs: number[];
  maps: number[];
  /** To cgroups. */
  links: number[];
  /** To what shows how programs use their sockets. */
  hooks: number[];
}

type Kind = "prog" | "map" | "link";

interface Shown {
  id: number;
  map_ids?: number[];
  prog_id?: number;
  type?: string;
}

/**
 * The programs, maps and links of what is pinned in a directory, and what hangs on it: the programs that use its maps,
 * all maps of these, and their links.
 */
export async function kernelObjectsOf(pinDir: string): Promise<KernelObjects> {
  const pinned = new Set<number>();
  for (const name of mapNames) {
    using map = openPinnedMap(pinDir, name);
    if (map) pinned.add(map.info.id);
  }
  const programs = (await show("prog")).filter(({ map_ids }) => map_ids?.some((id) => pinned.has(id)));
  const ids = new Set(programs.map(({ id }) => id));
  // An iterator's link is there for the moment in which it runs.
  const links = (await show("link")).filter(({ prog_id, type }) => ids.has(prog_id!) && type !== "iter");
  const maps = new Set([...pinned, ...programs.flatMap(({ map_ids }) => map_ids!)]);
  const idsOf = (toCgroup: boolean) =>
    links.filter(({ type }) => (type === "cgroup") === toCgroup).map(({ id }) => id);
  return { programs: [...ids], maps: [...maps], links: idsOf(true), hooks: idsOf(false) };
}

/** Waits until none of them is left: the kernel frees them after a grace period. */
export async function waitUntilFreed(objects: KernelObjects): Promise<void> {
  const kinds = { programs: "prog", maps: "map", links: "link", hooks: "link" } as const;
  for (const [name, kind] of Object.entries(kinds) as [keyof typeof kinds, Kind][]) {
    await waitFor(`${kind}s ${objects[name]} to be freed`, async () => {
      const now = (await show(kind)).map(({ id }) => id);
      return !objects[name].some((id) => now.includes(id));
    }, { everyMs: 50 });
  }
}

async function show(kind: Kind): Promise<Shown[]> {
  return JSON.parse(await run({}, ["bpftool", "-j", kind, "show"]));
}
