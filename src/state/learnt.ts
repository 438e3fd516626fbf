import { layouts } from "../generated/layouts.ts";
import type { BpfMap } from "../libbpf/map.ts";
import { readStruct, type StructValue, u32 } from "../libbpf/struct.ts";

/** What the data plane has learnt, and how often it has asked this process for something. */
export function readLearnt(learnt: BpfMap): StructValue<typeof layouts, "learnt"> {
  return readStruct(layouts, "learnt", learnt.lookup(u32(0))!);
}
