/** The programs of this directory: what they find on plain TCP, they must find under mda. */
import assert from "node:assert/strict";
import type { Cgroup } from "../cgroup.ts";
import { compile as compileAny } from "../compile.ts";
import { type Place, type Program, run, start } from "../program.ts";

/** Longer than the programs' own limits, which say more. */
const timeoutMs = 70_000;

export type ProgramName =
  | "alone"
  | "answers"
  | "asleep"
  | "crowd"
  | "ends"
  | "gets"
  | "habits"
  | "held"
  | "held_back"
  | "killed"
  | "leaving"
  | "older"
  | "one_way"
  | "order"
  | "pressed"
  | "splices"
  | "stutter"
  | "together"
  | "waits"
  | "wrap";

/** Runs a program to its end, where it found nothing wrong. Returns what it printed. */
export async function runProgram(
  place: Place,
  name: ProgramName,
  ...args: (string | number)[]
): Promise<string> {
  return await run(place, [compile(name), ...args.map(String)], { timeoutMs });
}

/** Starts a program that is told what to do: see {@link Program.tell}. */
export function startProgram(place: Place, name: ProgramName, ...args: (string | number)[]): Program {
  return start(place, [compile(name), ...args.map(String)], { listens: true });
}

/** Runs a program on plain TCP and in a place with mda, at the same time: it must print the same. */
export async function assertSameAsTcp(
  place: Place & { cgroup: Cgroup },
  name: ProgramName,
  ...args: (string | number)[]
): Promise<void> {
  const [onTcp, underMda] = await Promise.all([
    runProgram({ ...place, cgroup: undefined }, name, ...args),
    runProgram(place, name, ...args),
  ]);
  assert.equal(underMda, onTcp);
}

/** Compiles NAME.c, maybe with other flags; returns the program's path. */
export function compile(name: ProgramName, flags: string[] = []): string {
  return compileAny(`lab/streams/${name}`, flags);
}
