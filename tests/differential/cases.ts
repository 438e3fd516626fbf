/** The cases of cases/, each run on plain TCP and under mda. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { type Cgroup, createCgroup } from "../lab/cgroup.ts";
import { compile } from "../lab/compile.ts";
import { difference, type Growth, Mda } from "../lab/mda.ts";
import { start } from "../lab/program.ts";
import { readStatus } from "../../src/views/status.ts";

/** Without shared libraries: it runs where there is no C library. */
const compileCases = () => compile("differential/cases/main.static");

/** Longer than a case's own limit, which says more. */
const timeoutMs = 30_000;

export interface Case {
  name: string;
  /** Whether messages of the case's own connection are redirected. */
  redirected: "must" | "never" | "may";
  what: string;
  /** What it comes to on plain TCP, in a few words. */
  onTcp: string;
  /** Why the transcripts differ, when docs/limits.md says that they do. */
  differs?: string;
  /** The first line of the accelerated transcript that differs; without one not every kernel has the difference. */
  instead?: string;
  /** What may differ the first time, from which mda learns. */
  learns?: string;
  /** Then the first transcript is equal as well: the case tries again, and does not say so. */
  triesAgain: boolean;
}

/** What the runs of a case gave. */
export interface Outcome {
  onTcp: string[];
  /** Of a case from which mda learns this is the second run. */
  underMda: string[];
  growth: Growth;
  /** That of the first run then. */
  atFirst?: string[];
}

/** All cases, in the order in which they are to be read. */
export function listCases(): Case[] {
  const program = compileCases();
  const rows = (command: string) => {
    const { success, stdout } = new Deno.Command(program, { args: [command] }).outputSync();
    if (!success) throw new Error(`Cannot list the cases: ${program} ${command} failed`);
    return new TextDecoder().decode(stdout).trimEnd().split("\n").map((line) => line.split("\t"));
  };
  const table = rows("table");
  return rows("list").map(([name, redirected, difference, what], i) => {
    const [, onTcp, differs, instead, learns] = table[i];
    return {
      name,
      redirected: redirected as Case["redirected"],
      what,
      onTcp,
      differs: differs || undefined,
      instead: instead || undefined,
      learns: learns || undefined,
      triesAgain: difference === "tries",
    };
  });
}

/** Two cgroups, one of which an mda is attached to. `await using` removes both. */
export class Bench implements AsyncDisposable {
  readonly #copies = Deno.makeTempDirSync({ prefix: "mda-test-" });

  private constructor(readonly plain: Cgroup, readonly accelerated: Cgroup, readonly mda: Mda) {}

  static async create(): Promise<Bench> {
    const plain = createCgroup("plain");
    const accelerated = createCgroup("accelerated");
    try {
      return new Bench(
        plain,
        accelerated,
        await Mda.start({ cgroup: accelerated, args: ["--unknown", "learn"] }),
      );
    } catch (error) {
      await accelerated[Symbol.asyncDispose]();
      await plain[Symbol.asyncDispose]();
      throw error;
    }
  }

  async run({ name, learns }: Case): Promise<Outcome> {
    const [onTcp, atFirst] = await Promise.all([this.#runOnTcp(name), this.#runUnderMda(name)]);
    const { transcript, growth } = learns === undefined ? atFirst : await this.#runUnderMda(name);
    return {
      onTcp,
      underMda: transcript,
      growth,
      atFirst: learns === undefined ? undefined : atFirst.transcript,
    };
  }

  async #runOnTcp(name: string): Promise<string[]> {
    await using running = start({ cgroup: this.plain }, [this.#copy(`${name}.plain`), "run", name]);
    await running.ended(timeoutMs);
    assert.equal(running.stderr, "");
    return lines(running.stdout);
  }

  /** The counters are those of the case alone, without its warm-up. */
  async #runUnderMda(name: string): Promise<{ transcript: string[]; growth: Growth }> {
    const command = [this.#copy(name), "run", name, "--pause"];
    await using running = start({ cgroup: this.accelerated }, command, { listens: true });
    await running.says(/^ready$/m, timeoutMs);
    const before = readStatus(this.mda.pinDir);
    await running.tell("go");
    await running.ended(timeoutMs);
    assert.equal(running.stderr, "ready\n");
    return { transcript: lines(running.stdout), growth: difference(before, readStatus(this.mda.pinDir)) };
  }

  /** mda remembers how a program, a file, uses its sockets: each case is a program of its own. */
  #copy(name: string): string {
    const path = `${this.#copies}/${name}`;
    if (!existsSync(path)) Deno.copyFileSync(compileCases(), path);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.mda[Symbol.asyncDispose]();
    } finally {
      await this.accelerated[Symbol.asyncDispose]();
      await this.plain[Symbol.asyncDispose]();
      // Not before: another file could get the inode of one that is gone, and its habits.
      Deno.removeSync(this.#copies, { recursive: true });
    }
  }
}

function lines(transcript: string): string[] {
  return transcript.trimEnd().split("\n");
}
