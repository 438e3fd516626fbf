/** The programs of this directory: what they find on plain TCP, they must find under mda. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Cgroup } from "../cgroup.ts";
import { type Place, type Program, run, start } from "../program.ts";

const sources = fileURLToPath(new URL(".", import.meta.url));
const headers = ["streams.h", "../kernels/lab.h"];
const built = fileURLToPath(new URL("../../../build/tests/", import.meta.url));

/** Longer than the programs' own limits, which say more. */
const timeoutMs = 70_000;

export type ProgramName =
  | "alone"
  | "asleep"
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

/** Compiles NAME.c when it is newer than its program, each with other flags for gcc; returns the program's path. */
export function compile(name: ProgramName, flags: string[] = []): string {
  const source = `${sources}${name}.c`;
  const program = `${built}${[name, ...flags].join("")}`;
  const changed = [source, ...headers.map((header) => sources + header)].map(modifiedMs);
  if (modifiedMs(program) > Math.max(...changed)) return program;
  Deno.mkdirSync(built, { recursive: true });
  const part = `${program}.${Deno.pid}`;
  const { success, stderr } = new Deno.Command("gcc", {
    args: ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", ...flags, "-o", part, source],
  }).outputSync();
  if (!success) throw new Error(`Cannot compile ${source}: ${new TextDecoder().decode(stderr)}`);
  Deno.renameSync(part, program);
  return program;
}

/** Since 1970; 0 when there is no such file. */
export function modifiedMs(path: string): number {
  try {
    return Deno.statSync(path).mtime!.getTime();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
