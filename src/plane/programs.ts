import { getLogger } from "@logtape/logtape";
import { enums, layouts } from "../bpf/layouts.ts";
import type { BpfMap } from "../bpf/map.ts";
import type { BpfObject } from "../bpf/object.ts";
import { readStruct, type StructValue, writeStruct } from "../bpf/struct.ts";
import { type UnknownPrograms, unknownPrograms } from "../config/unknown.ts";
import { canSplice } from "../host/executable.ts";

const log = getLogger("mda");

const { SPLICE_UNCHECKED, SPLICE_IMPOSSIBLE, SPLICE_POSSIBLE } = enums.can_splice;

const numbers: Record<UnknownPrograms, number> = {
  strict: enums.unknown_programs.UNKNOWN_STRICT,
  learn: enums.unknown_programs.UNKNOWN_LEARN,
  fast: enums.unknown_programs.UNKNOWN_FAST,
};

export const unknownNumber = (unknown: UnknownPrograms): number => numbers[unknown];

export function unknownName(number: number): UnknownPrograms {
  return unknownPrograms.find((name) => numbers[name] === number)!;
}

/** A program as the data plane knows it: see bpf/types.h. */
export type Program = StructValue<typeof layouts, "program">;

/** All programs that were seen to take part. */
export function readPrograms(map: BpfMap): Program[] {
  const values = [...map.keys()].map((key) => map.lookup(key));
  return values.filter((value) => value !== undefined).map((value) => readStruct(layouts, "program", value));
}

/**
 * Looks into the code of programs that were not looked at yet, whether they have splice(2) in it.
 *
 * @returns how many could not be looked at, because none of their processes could be found
 */
export function checkPrograms(object: BpfObject): number {
  const map = object.map("programs");
  let unchecked = 0;
  for (const key of [...map.keys()]) {
    const value = map.lookup(key);
    const known = value && readStruct(layouts, "program", value);
    if (known?.can_splice !== SPLICE_UNCHECKED) continue;
    const program = readStruct(layouts, "executable", key);
    const found = canSplice(known.pid, program.inode);
    if (found === undefined) {
      unchecked++;
      continue;
    }
    log.debug(`${known.name} ${found ? "has" : "does not have"} splice(2) in its code`);
    const can_splice = found ? SPLICE_POSSIBLE : SPLICE_IMPOSSIBLE;
    object.program("check").runOn(writeStruct(layouts, "found_in_code", { program, can_splice }));
  }
  return unchecked;
}
