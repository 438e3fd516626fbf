import type { layouts } from "../generated/layouts.ts";
import type { BpfMap } from "../libbpf/map.ts";
import type { StructValue } from "../libbpf/struct.ts";
import { readSingle } from "./single.ts";

/** What the data plane has learnt, and how often it has asked this process for something. */
export function readLearnt(learnt: BpfMap): StructValue<typeof layouts, "learnt"> {
  return readSingle(learnt, "learnt");
}
