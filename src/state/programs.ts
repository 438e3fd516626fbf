import { type UnknownPrograms, unknownPrograms } from "../config/unknown.ts";
import { enums, layouts } from "../generated/layouts.ts";
import type { BpfMap } from "../libbpf/map.ts";
import { readStruct, type StructValue } from "../libbpf/struct.ts";

const numbers: Record<UnknownPrograms, number> = {
  strict: enums.unknown_programs.UNKNOWN_STRICT,
  learn: enums.unknown_programs.UNKNOWN_LEARN,
  fast: enums.unknown_programs.UNKNOWN_FAST,
};

export const unknownNumber = (unknown: UnknownPrograms): number => numbers[unknown];

export function unknownName(number: number): UnknownPrograms {
  return unknownPrograms.find((name) => numbers[name] === number)!;
}

/** A program as the data plane knows it: see bpf/habits.h. */
export type Program = StructValue<typeof layouts, "program">;

/** All programs that were seen to take part. */
export function readPrograms(map: BpfMap): Program[] {
  return [...programEntries(map)].map(({ program }) => program);
}

/** The same, with the key of each. */
export function* programEntries(map: BpfMap): Generator<{ key: Uint8Array<ArrayBuffer>; program: Program }> {
  for (const key of [...map.keys()]) {
    const value = map.lookup(key);
    if (value) yield { key, program: readStruct(layouts, "program", value) };
  }
}
