import { layouts, maps } from "../generated/layouts.ts";
import type { BpfMap } from "../libbpf/map.ts";
import { readStruct, readU64, type StructValue, u32 } from "../libbpf/struct.ts";

/** What refused connections have in common that are counted together (bpf/refused.h), and how many there were. */
export interface RefusedKindCount {
  kind: StructValue<typeof layouts, "refused_kind">;
  count: number;
}

/**
 * Each kind once.
 *
 * @param map the map of this name
 */
export function readRefusedKinds(
  map: (name: "refused_kinds" | "refused_lately") => BpfMap,
): RefusedKindCount[] {
  const found = new Map<string, RefusedKindCount>();
  const add = (kind: RefusedKindCount["kind"], times: bigint) => {
    if (times === 0n) return;
    const { inode, device, generation } = kind.server;
    const id = [inode, device, generation, kind.port, kind.reason].join();
    const before = found.get(id);
    if (before) before.count += Number(times);
    else found.set(id, { kind, count: Number(times) });
  };
  const kinds = map("refused_kinds");
  for (const key of kinds.keys()) {
    const times = kinds.lookup(key);
    if (times) add(readStruct(layouts, "refused_kind", key), readU64(times));
  }
  for (let place = 0; place < maps.refused_lately.maxEntries; place++) {
    for (const bytes of map("refused_lately").lookupPerCpu(u32(place))!) {
      const { kind, times } = readStruct(layouts, "refused_lately", bytes);
      add(kind, times);
    }
  }
  return [...found.values()];
}
