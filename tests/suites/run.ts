/**
 * Runs other projects' network tests on plain TCP and under mda, and prints a line for each suite and mode:
 *
 *     deno run --allow-all tests/suites/run.ts [NAME...]
 *
 * build.sh has fetched the sources. What a test that fails only under mda has printed stays in build/suites/failed.
 */
import { existsSync } from "node:fs";
import { compile } from "../lab/compile.ts";
import { run, start, tryRun } from "../lab/program.ts";
import { within } from "../lab/wait.ts";
import { type Mode, ModePlace, modes } from "./modes.ts";
import { type Result, type Suite } from "./suite.ts";
import { type Counted, formatTable, keep, type Row } from "./table.ts";
import { suites } from "./suites.ts";

const work = new URL("../../build/suites/", import.meta.url).pathname;
const nice = 10;
const buildMs = 900_000;
/** How often a test that has failed only under mda runs again. */
const again = 2;

/** Ctrl-C and the like: what was made is taken away before the end. */
const interruption = new AbortController();
const interrupted = new Promise<never>((_, reject) =>
  interruption.signal.addEventListener("abort", () => reject(interruption.signal.reason))
);
interrupted.catch(() => {});

/** What a group's tests gave in one run. */
interface Run {
  results: Map<string, Result>;
  output: string;
  messages: number;
}

/** Builds a suite's tests, unless they are built, and returns where. */
async function build(name: string, { sources, builtAs = name, build }: Suite): Promise<string> {
  const directory = work + "sources/" + ("fetched" in sources ? sources.fetched : sources.installed);
  const stamp = `${directory}/.built-${builtAs}`;
  Deno.mkdirSync(directory, { recursive: true });
  if (existsSync(stamp)) return directory;
  console.error(`build the tests of ${builtAs}`);
  for (const { argv, env } of build) {
    // Neither Go's cache nor another tool's goes outside of the tree.
    const place = { HOME: work, GOCACHE: `${work}go`, ...env };
    const { code, stdout, stderr } = await tryRun({ nice }, argv, {
      cwd: directory,
      env: place,
      timeoutMs: buildMs,
    });
    Deno.writeTextFileSync(`${work}${builtAs}.log`, stdout + stderr, { append: true });
    if (code !== 0) {
      throw new Error(
        `Cannot build the tests of ${builtAs}: ${argv.join(" ")} failed, see ${work}${builtAs}.log`,
      );
    }
  }
  Deno.writeTextFileSync(stamp, "");
  return directory;
}

/** Runs a group once in the directory of its copies. */
async function runCommand(suite: Suite, group: string, sources: string, directory: string, place: ModePlace) {
  const { argv, env = {}, cwd = directory } = suite.command(group, directory, sources);
  const file = `${directory}/output`;
  await using cgroup = place.forRun();
  // Helpers that a test leaves behind keep their output open: it goes to a file.
  const command = ["sh", "-c", 'exec "$@" >"$0" 2>&1 </dev/null', file, ...argv];
  const timeoutMs = suite.timeoutMs ?? 60_000;
  await using program = start({ cgroup, netns: place.netns, nice }, command, {
    env: { HOME: directory, ...env },
    cwd,
  });
  const ended = within(timeoutMs, `the end of ${group}`, program.status);
  const code = await Promise.race([ended, interrupted]).then(
    ({ code }) => code,
    (error: Error) => {
      interruption.signal.throwIfAborted();
      Deno.writeTextFileSync(file, `\n${error.message}\n`, { append: true });
      return -1;
    },
  );
  // Not all of it need be text.
  const output = new TextDecoder().decode(Deno.readFileSync(file));
  return { output, results: suite.results(group, output, code) };
}

/** Runs a group in one mode, with copies of its own. */
async function runGroup(suite: Suite, group: string, sources: string, place: ModePlace): Promise<Run> {
  const directory = Deno.makeTempDirSync({ dir: `${work}runs` });
  try {
    suite.prepare(sources, directory);
    // The second run of the same executables is the one in which mda knows them.
    const first = suite.warmUp ?? group;
    if (place.mode === "learn") await runCommand(suite, first, sources, directory, place);
    const { value, growth } = await place.counted(() => runCommand(suite, group, sources, directory, place));
    return { ...value, messages: growth?.messages ?? 0 };
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** Runs a group in all modes at once. */
async function runEverywhere(
  suite: Suite,
  group: string,
  sources: string,
  places: ModePlace[],
): Promise<Run[]> {
  return await Promise.all(places.map((place) => runGroup(suite, group, sources, place)));
}

function failedIn({ results }: Run): string[] {
  return [...results].filter(([, result]) => result === "failed").map(([name]) => name);
}

async function runSuite(name: string, suite: Suite, places: ModePlace[]): Promise<Row> {
  const sources = await build(name, suite);
  await Deno.remove(`${work}failed/${name}`, { recursive: true }).catch(() => {});
  const counted = {} as Record<Mode, Counted>;
  for (const mode of modes) {
    counted[mode] = { tests: 0, skipped: 0, onTcp: [], onlyHere: [], once: [], messages: 0, groups: 0 };
  }
  const groups = await suite.list(sources);
  console.error(`run ${name}: ${groups.length} programs, each in ${modes.length} modes`);
  for (const group of groups) {
    const everywhere = () => runEverywhere(suite, group, sources, places);
    const all = [await everywhere()];
    const failed = (i: number, time: number) => failedIn(all[time][i]);
    const onTcp = failed(0, 0);
    const suspects = places.map((_, i) => failed(i, 0).filter((test) => !onTcp.includes(test)));
    if (suspects.flat().length > 0) {
      console.error(`${name}: ${group} fails under mda, and runs again`);
      for (let time = 0; time < again; time++) all.push(await everywhere());
    }
    for (const [i, { mode }] of places.entries()) {
      count(counted[mode], all[0][i]);
      counted[mode].onTcp.push(...onTcp.map((test) => labelOf(group, test)));
      const failedAgain = (at: number, test: string) =>
        all.some((_, time) => time > 0 && failed(at, time).includes(test));
      // What fails on TCP now and then says nothing.
      const found = suspects[i].filter((test) => !failedAgain(0, test));
      for (const test of found) {
        (failedAgain(i, test) ? counted[mode].onlyHere : counted[mode].once).push(labelOf(group, test));
      }
      if (found.length > 0) keepOutputs(name, `${group}.${mode}`, all.map((runs) => runs[i].output));
    }
  }
  return { suite: name, version: await versionOf(suite), counted };
}

function count(counted: Counted, { results, messages }: Run): void {
  counted.tests += results.size;
  counted.skipped += [...results.values()].filter((result) => result === "skipped").length;
  counted.messages += messages;
  if (messages > 0) counted.groups++;
}

/** A test's name, with its group's where that says more. */
function labelOf(group: string, test: string): string {
  return test.startsWith(group) ? test : `${group}: ${test}`;
}

function keepOutputs(suite: string, run: string, outputs: string[]): void {
  const directory = `${work}failed/${suite}`;
  Deno.mkdirSync(directory, { recursive: true });
  outputs.forEach((output, i) =>
    Deno.writeTextFileSync(`${directory}/${run.replaceAll("/", "_")}.${i + 1}`, output)
  );
}

async function versionOf({ sources }: Suite): Promise<string> {
  if ("fetched" in sources) return Deno.readTextFileSync(`${work}sources/${sources.fetched}.version`).trim();
  return await run({}, ["dpkg-query", "--show", "--showformat=${Version}", sources.installed]);
}

/** Runs suites, and prints their table. */
async function runSuites(names: string[]): Promise<Row[]> {
  await using stack = new AsyncDisposableStack();
  const places: ModePlace[] = [];
  for (const mode of modes) places.push(stack.use(await ModePlace.create(mode)));
  const rows: Row[] = [];
  for (const name of names) {
    rows.push(await runSuite(name, suites[name], places));
    keep(rows.at(-1)!);
  }
  return rows;
}

if (import.meta.main) {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => interruption.abort(new Error(`${signal} before the end`)));
  }
  Deno.mkdirSync(`${work}runs`, { recursive: true });
  compile("suites/blocking.so");
  try {
    const rows = await runSuites(Deno.args.length > 0 ? Deno.args : Object.keys(suites));
    console.log(formatTable(rows));
    const bad = rows.some(({ counted }) =>
      modes.some((mode) => counted[mode].onlyHere.length > 0) ||
      modes.every((mode) => counted[mode].messages === 0)
    );
    Deno.exit(bad ? 1 : 0);
  } catch (error) {
    console.error(`test-suites: ${error instanceof Error ? error.message : error}`);
    Deno.exit(1);
  }
}
