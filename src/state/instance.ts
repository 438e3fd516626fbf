import type { layouts } from "../generated/layouts.ts";
import type { BpfMap } from "../libbpf/map.ts";
import type { StructInput, StructValue } from "../libbpf/struct.ts";
import { changeSingle, readFirstNumber, readSingle } from "./single.ts";

/** Who runs a data plane, and with what. */
export type Instance = StructValue<typeof layouts, "instance">;

export function readInstance(map: BpfMap): Instance {
  return readSingle(map, "instance");
}

/** The number of the process that runs a data plane of any version: the first of each one's struct instance. */
export function readPid(map: BpfMap): number {
  return readFirstNumber(map);
}

/** Changes some of what is said about the instance. */
export function describeInstance(map: BpfMap, changes: StructInput<typeof layouts, "instance">): void {
  changeSingle(map, "instance", changes);
}
