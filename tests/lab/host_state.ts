import { findCgroup2 } from "../../src/host/cgroup.ts";
import { run } from "./program.ts";
import { sleep } from "./wait.ts";

/** What of a host's mda could leave something in: BPF programs, maps and links, pins, cgroups, network namespaces. */
export type HostState = Set<string>;

export async function readHostState(): Promise<HostState> {
  const state: HostState = new Set();
  for (const kind of ["prog", "map", "link"]) {
    const shown: { id: number; name?: string; type: string }[] = JSON.parse(
      await run({}, ["bpftool", "-j", kind, "show"]),
    );
    for (const { id, name, type } of shown) state.add(`${kind} ${id} (${name ?? type})`);
  }
  const found = await run({}, ["find", "/sys/fs/bpf", "/run/netns", findCgroup2(), "-xdev"]);
  for (const path of found.split("\n").filter(Boolean)) state.add(path);
  return state;
}

/**
 * What is there now and was not before, and stays: the kernel frees some things after a grace period, and others come and
 * go when more than this test runs on the host.
 */
export async function findLeftovers(before: HostState, patienceMs = 60_000): Promise<string[]> {
  const added = async () => [...(await readHostState()).difference(before)];
  let left = await added();
  for (const end = performance.now() + patienceMs; left.length > 0 && performance.now() < end;) {
    await sleep(200);
    const now = new Set(await added());
    left = left.filter((name) => now.has(name));
  }
  return left;
}
