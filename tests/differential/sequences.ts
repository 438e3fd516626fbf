/** sequences/sequences.c: calls in every order, after everything that may happen to a connection. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Cgroup } from "../lab/cgroup.ts";
import { type Program, start } from "../lab/program.ts";
import { modifiedMs } from "../lab/streams/programs.ts";

const source = fileURLToPath(new URL("sequences/sequences.c", import.meta.url));
const program = fileURLToPath(new URL("../../build/tests/sequences", import.meta.url));
const timeoutMs = 120_000;
/** What is under way between two calls may take longer on a busy machine: a sequence differs when it does so each time. */
const TRIES = 3;

/** Some sequences, by their numbers. */
export interface Some {
  first: number;
  count: number;
}

function compile(): void {
  if (modifiedMs(program) > modifiedMs(source)) return;
  Deno.mkdirSync(fileURLToPath(new URL(".", `file://${program}`)), { recursive: true });
  const part = `${program}.${Deno.pid}`;
  const { success, stderr } = new Deno.Command("gcc", {
    args: ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", part, source],
  }).outputSync();
  if (!success) throw new Error(`Cannot compile ${source}: ${new TextDecoder().decode(stderr)}`);
  Deno.renameSync(part, program);
}

/** Runs sequences on connections that are made under whatever is attached to the cgroup then. */
export async function runSequences({ first, count }: Some, cgroup?: Cgroup): Promise<string[]> {
  compile();
  await using running = start({ cgroup }, [program, `${first}`, `${count}`]);
  return await linesOf(running);
}

/** Opens connections, and runs sequences on them once it is told to go on. */
export async function openSequences(
  { first, count }: Some,
  waitMs: number,
  cgroup?: Cgroup,
): Promise<Program> {
  compile();
  const running = start({ cgroup }, [program, `${first}`, `${count}`, `${waitMs}`], { listens: true });
  await running.says(/^ready$/m);
  return running;
}

export async function linesOf(running: Program): Promise<string[]> {
  const { code } = await running.ended(timeoutMs);
  assert.equal(code, 0, running.stderr);
  return running.stdout.trimEnd().split("\n");
}

/**
 * The sequences that come to something else in a cgroup with mda than on plain TCP, in each of several runs.
 *
 * @param run runs them, in a cgroup or on plain TCP
 */
export async function differences(
  some: Some,
  cgroup: Cgroup,
  run: (some: Some, cgroup?: Cgroup) => Promise<string[]> = runSequences,
): Promise<string[]> {
  let different: number[] | undefined;
  let told: string[] = [];
  for (let time = 0; time < TRIES && different?.length !== 0; time++) {
    const [onTcp, accelerated] = await Promise.all([run(some), run(some, cgroup)]);
    const indices = onTcp.keys().filter((index) => onTcp[index] !== accelerated[index]).toArray();
    different = different?.filter((index) => indices.includes(index)) ?? indices;
    told = different.map((index) => `TCP ${onTcp[index]}\nmda ${accelerated[index]}`);
  }
  return told;
}
