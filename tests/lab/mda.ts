import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { StatusReport } from "../../src/output/status_table.ts";
import type { Status } from "../../src/views/status.ts";
import type { Cgroup } from "./cgroup.ts";
import { type Output, type Place, Program, start, tryRun } from "./program.ts";

const root = new URL("../../", import.meta.url);

/** The binary that is tested: what build.sh has made. */
export const binary = fileURLToPath(new URL(Deno.env.get("OUTPUT") ?? "dist/mda", root));

// For every mda that a test starts: most count messages from the first one on. What is learnt has tests of its own, which
// say --unknown.
Deno.env.set("MDA_UNKNOWN", "fast");

let made = 0;

export interface MdaOptions {
  cgroup: Cgroup;
  /** The text of the configuration: no rule when absent. */
  config?: string;
  /** An existing one is used on; one of its own when absent. */
  pinDir?: string;
  /** More arguments of `mda run`. */
  args?: string[];
  /** The binary of another version. */
  version?: string;
}

/** A name on the bpffs that no other test has. */
export function newPinDir(): string {
  return `/sys/fs/bpf/mda-test-${Deno.pid}-${++made}`;
}

/** Runs a command of the binary to its end. */
export async function runMda(args: string[], place: Place = {}, version = binary): Promise<Output> {
  return await tryRun(place, [version, ...args]);
}

/** Writes a configuration as mda wants it: for nobody else to write. */
export function writeConfig(text: string): string {
  const path = Deno.makeTempFileSync({ prefix: "mda-test-", suffix: ".conf" });
  Deno.writeTextFileSync(path, text);
  Deno.chmodSync(path, 0o600);
  return path;
}

/** A running `mda run`. `await using` ends it, and clears its pins when it could not. */
export class Mda implements AsyncDisposable {
  private constructor(
    readonly program: Program,
    readonly pinDir: string,
    readonly configFile: string,
    readonly version: string,
  ) {}

  /** Starts one and waits until it is ready. */
  static async start(
    { cgroup, config = "", pinDir = newPinDir(), args = [], version = binary }: MdaOptions,
  ): Promise<Mda> {
    const configFile = writeConfig(config);
    const command = ["run", "--config", configFile, "--cgroup", cgroup.path, "--pin-dir", pinDir, ...args];
    const mda = new Mda(start({}, [version, ...command]), pinDir, configFile, version);
    try {
      await mda.program.says(/ready: .*/);
      return mda;
    } catch (error) {
      await mda[Symbol.asyncDispose]();
      throw error;
    }
  }

  get pid(): number {
    return this.program.pid;
  }

  /** What `mda status` says, which must be that it is enabled. */
  async status(): Promise<StatusReport> {
    const { code, status } = await statusOf(this.pinDir, this.version);
    assert.equal(code, 0);
    return status;
  }

  /** Runs `body` and returns by how much the counters have grown meanwhile. */
  async during(body: () => unknown | Promise<unknown>): Promise<Growth> {
    const before = await this.status();
    await body();
    return difference(before, await this.status());
  }

  /** Stops it as an operator does: status 0, and nothing left on the bpffs. Returns what it had to say. */
  async stop(signal: "SIGTERM" | "SIGINT" = "SIGTERM"): Promise<string> {
    const { code } = await this.program.stop(signal, 15_000);
    assert.equal(code, 0, this.program.stderr);
    assert.ok(!pinsOf(this.pinDir), `${this.pinDir} is still there: ${pinsOf(this.pinDir)}`);
    return this.program.stderr;
  }

  /** Ends it as a crash does. */
  async crash(): Promise<void> {
    await this.program.stop("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
    removePins(this.pinDir);
    Deno.removeSync(this.configFile);
  }
}

/** `mda status -o json` of a pin directory, and how it exited. */
export async function statusOf(
  pinDir: string,
  version = binary,
): Promise<{ code: number; status: StatusReport }> {
  const { code, stdout, stderr } = await runMda(["--pin-dir", pinDir, "status", "-o", "json"], {}, version);
  assert.equal(stderr, "");
  return { code, status: JSON.parse(stdout) };
}

/** The names pinned in a directory; undefined when it is not there. */
export function pinsOf(pinDir: string): string[] | undefined {
  try {
    return [...Deno.readDirSync(pinDir)].map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Removes a pin directory, whatever is in it and if it is there. */
export function removePins(pinDir: string): void {
  for (const name of pinsOf(pinDir) ?? []) Deno.removeSync(`${pinDir}/${name}`);
  if (pinsOf(pinDir)) Deno.removeSync(pinDir);
}

/** By how much counters have grown; `passed`, `refused` and `left` name only those that have. */
export interface Growth {
  paired: number;
  adopted: number;
  messages: number;
  bytes: number;
  passed: Record<string, number>;
  refused: Record<string, number>;
  left: Record<string, number>;
}

export function difference(before: Status, after: Status): Growth {
  const group = (name: "passed" | "refused" | "left") => {
    const earlier: Record<string, number> = before[name];
    return Object.fromEntries(
      Object.entries(after[name]).map(([why, count]) => [why, count - earlier[why]])
        .filter(([, grown]) => grown !== 0),
    );
  };
  return {
    paired: after.connections.paired - before.connections.paired,
    adopted: after.connections.adopted - before.connections.adopted,
    messages: after.redirected.messages - before.redirected.messages,
    bytes: after.redirected.bytes - before.redirected.bytes,
    passed: group("passed"),
    refused: group("refused"),
    left: group("left"),
  };
}

/** How many messages went the way that they were to go: one or two a second of each direction go through TCP (bpf/refresh.h). */
export const asIntended = ({ messages, passed }: Growth) =>
  messages + (passed.refresh ?? 0) + (passed.acknowledging ?? 0);

/** Which part of the messages of sockets in the sockhash was redirected, or went through TCP for its second: 0 to 1. */
export function redirectedShare(growth: Growth): number {
  const all = Object.values(growth.passed).reduce((sum, count) => sum + count, growth.messages);
  return all === 0 ? 0 : asIntended(growth) / all;
}

/**
 * Each of the connections that were opened was accelerated from its start, or left because an end of it blocks or is of a
 * program that is not known yet, and counted as that. Which programs do is their own affair, and another one in their next
 * version. What was left is redirected only when it was adopted later.
 */
export function assertPairedOrBlocking(growth: Growth, opened: number): void {
  const { blocking_client = 0, blocking_listener = 0, turns_blocking = 0, unknown = 0, ...others } =
    growth.refused;
  const seen = `${opened} opened: ${JSON.stringify(growth)}`;
  assert.deepEqual(others, {}, seen);
  const blocking = blocking_client + blocking_listener + turns_blocking;
  assert.equal(growth.paired + blocking + unknown, opened, seen);
  if (growth.paired + growth.adopted === 0) {
    assert.deepEqual([growth.messages, growth.bytes, growth.passed, growth.left], [0, 0, {}, {}], seen);
  }
}

/** The counters prove acceleration: at least 95 % of at least so many messages, and most of them redirected. */
export function assertRedirected(growth: Growth, atLeast: number): void {
  const seen = JSON.stringify(growth);
  assert.ok(
    asIntended(growth) >= atLeast && growth.messages > 2 * (growth.passed.refresh ?? 0),
    `only ${growth.messages} messages redirected, not ${atLeast}: ${seen}`,
  );
  assert.ok(
    redirectedShare(growth) >= 0.95,
    `${redirectedShare(growth)} of the messages redirected: ${seen}`,
  );
}
