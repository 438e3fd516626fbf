import { layouts } from "../generated/layouts.ts";
import type { BpfMap } from "../libbpf/map.ts";
import {
  readStruct,
  readU32,
  type StructInput,
  type StructValue,
  u32,
  writeStruct,
} from "../libbpf/struct.ts";

/** Who runs a data plane, and with what. */
export type Instance = StructValue<typeof layouts, "instance">;

export function readInstance(map: BpfMap): Instance {
  return readStruct(layouts, "instance", map.lookup(u32(0))!);
}

/** The number of the process that runs a data plane of any version: the first of each one's struct instance. */
export function readPid(map: BpfMap): number {
  return readU32(map.lookup(u32(0))!);
}

/** Changes some of what is said about the instance. */
export function describeInstance(map: BpfMap, changes: StructInput<typeof layouts, "instance">): void {
  map.update(u32(0), writeStruct(layouts, "instance", changes, map.lookup(u32(0))!));
}
