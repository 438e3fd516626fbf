/** sequences/sequences.c: calls in every order, after everything that may happen to a connection. */
import assert from "node:assert/strict";
import type { Cgroup } from "../lab/cgroup.ts";
import { compile } from "../lab/compile.ts";
import { type Program, start } from "../lab/program.ts";

const program = "differential/sequences/sequences";
const timeoutMs = 120_000;
/** What is under way between two calls may take longer on a busy machine: a sequence differs when it does so each time. */
const TRIES = 3;

/** Some sequences, by their numbers. */
export interface Some {
  first: number;
  count: number;
}

/** Runs sequences on connections that are made under whatever is attached to the cgroup then. */
export async function runSequences({ first, count }: Some, cgroup?: Cgroup): Promise<string[]> {
  await using running = start({ cgroup }, [compile(program), `${first}`, `${count}`]);
  return await linesOf(running);
}

/** Opens connections, and runs sequences on them once it is told to go on. */
export async function openSequences(
  { first, count }: Some,
  waitMs: number,
  cgroup?: Cgroup,
): Promise<Program> {
  const running = start({ cgroup }, [compile(program), `${first}`, `${count}`, `${waitMs}`], {
    listens: true,
  });
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
