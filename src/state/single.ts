/** Maps of one struct: what the data plane is told, and what it tells. */
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

type Struct = keyof typeof layouts;

/** An array has its elements from the beginning. */
function only(map: BpfMap): Uint8Array<ArrayBuffer> {
  return map.lookup(u32(0))!;
}

export function readSingle<S extends Struct>(map: BpfMap, struct: S): StructValue<typeof layouts, S> {
  return readStruct(layouts, struct, only(map));
}

/** The first number of the struct, whatever version the map is of. */
export function readFirstNumber(map: BpfMap): number {
  return readU32(only(map));
}

/** Changes some fields; the others stay. */
export function changeSingle<S extends Struct>(
  map: BpfMap,
  struct: S,
  changes: StructInput<typeof layouts, S>,
): void {
  map.update(u32(0), writeStruct(layouts, struct, changes, only(map)));
}

/** Changes the first number of the struct, whatever version the map is of. */
export function changeFirstNumber(map: BpfMap, number: number): void {
  const bytes = only(map);
  bytes.set(u32(number));
  map.update(u32(0), bytes);
}
