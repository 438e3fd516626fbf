import { getLogger } from "@logtape/logtape";
import { enums, layouts } from "../../generated/layouts.ts";
import type { BpfMap } from "../../libbpf/map.ts";
import type { BpfObject } from "../../libbpf/object.ts";
import { readStruct, writeStruct } from "../../libbpf/struct.ts";
import type { UnknownPrograms } from "../../config/unknown.ts";
import { lookIntoCode } from "../../host/executable.ts";
import { processName } from "../../host/process.ts";
import { type Program, programEntries, readPrograms } from "../../state/programs.ts";
import { everything, type Watched } from "./hooks.ts";

const log = getLogger("mda");

const { CODE_CHECKED, CODE_SPLICES, CODE_COUNTS, CODE_MAPS, CODE_WATCHED } = enums.in_code;
const { HABIT_UNKNOWN, HABIT_RECEIVES } = enums.habit;

/**
 * Looks into the code of programs that were not looked at yet: whether they have in it what sockmap cannot serve.
 *
 * @param underWay those that are looked at now, by their keys; others come while a large one takes its time
 * @param signal from then on nothing is noted: the object may be closed
 */
export async function checkPrograms(
  object: BpfObject,
  underWay = new Set<string>(),
  signal?: AbortSignal,
): Promise<void> {
  await Promise.all(Array.from(programEntries(object.map("programs")), async ({ key, program }) => {
    const name = key.toHex();
    if (program.in_code & CODE_CHECKED || underWay.has(name)) return;
    underWay.add(name);
    try {
      await checkProgram(object, key, program, signal);
    } finally {
      underWay.delete(name);
    }
  }));
}

async function checkProgram(
  object: BpfObject,
  key: Uint8Array<ArrayBuffer>,
  program: Program,
  signal?: AbortSignal,
): Promise<void> {
  const found = await lookIntoCode(program.pid, readStruct(layouts, "executable", key).inode);
  if (found === undefined || signal?.aborted) return;
  const { splices, counts, maps } = found;
  log.debug(
    `${program.name} has ${splices ? "" : "no "}splice(2), ${counts ? "" : "no "}FIONREAD and ${
      maps ? "" : "no "
    }TCP_ZEROCOPY_RECEIVE in its code`,
  );
  note(
    object,
    key,
    CODE_CHECKED | (splices ? CODE_SPLICES : 0) | (counts ? CODE_COUNTS : 0) | (maps ? CODE_MAPS : 0),
  );
}

/**
 * What programs that may be redirected to could do, as far as their code shows.
 *
 * @param unknown what becomes of programs of which nothing is known
 */
export function whatCouldBeDone(map: BpfMap, unknown: UnknownPrograms): Watched {
  const watched = { splices: false, maps: false, counts: false };
  for (const { program: { habit, in_code, pid } } of programEntries(map)) {
    if (habit > HABIT_RECEIVES) continue;
    if (!(in_code & CODE_CHECKED)) {
      // Where it stays outside until it is known, it is not known before it was looked at. When the last process of it that was seen
      // has gone, the next is told of at once (EVENT_PROGRAM).
      if ((habit === HABIT_RECEIVES || unknown === "fast") && processName(pid)) return everything;
      continue;
    }
    watched.splices ||= (in_code & CODE_SPLICES) !== 0;
    watched.maps ||= (in_code & CODE_MAPS) !== 0;
    watched.counts ||= (in_code & CODE_COUNTS) !== 0;
  }
  return watched;
}

/** Says that what programs could do is seen from now on, of those that were looked at: see CODE_WATCHED, bpf/habits.h. */
export function noteWatched(object: BpfObject): void {
  for (const { key, program: { in_code } } of programEntries(object.map("programs"))) {
    if (in_code & CODE_CHECKED && !(in_code & CODE_WATCHED)) note(object, key, in_code | CODE_WATCHED);
  }
}

/** Whether there are programs of which nothing is known. */
export function someAreUnknown(map: BpfMap): boolean {
  return readPrograms(map).some(({ habit }) => habit === HABIT_UNKNOWN);
}

function note(object: BpfObject, key: Uint8Array<ArrayBuffer>, in_code: number): void {
  const executable = readStruct(layouts, "executable", key);
  object.program("learn_code").runOn(writeStruct(layouts, "found_in_code", { executable, in_code }));
}
