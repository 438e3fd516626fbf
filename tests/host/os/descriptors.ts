import assert from "node:assert/strict";

/** What each open descriptor of this process is of: a path, `anon_inode:bpf-map`, `socket:[1234]`. */
export function openDescriptors(): string[] {
  const targets: string[] = [];
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      const target = Deno.readLinkSync(`/proc/self/fd/${name}`);
      // Deno opens its own executable when it pleases.
      if (target !== Deno.execPath()) targets.push(target);
    } catch {
      // The descriptor of this very listing.
    }
  }
  return targets.sort();
}

/** Runs `body` and fails when it leaves descriptors open. */
export function assertClosesDescriptors(body: () => void): void {
  const before = openDescriptors();
  body();
  assert.deepEqual(openDescriptors(), before, "descriptors that are open afterwards");
}
