import assert from "node:assert/strict";
import type { Cgroup } from "../../lab/cgroup.ts";
import { confined, type Confinement } from "../../lab/confined.ts";
import { binary, newPinDir, pinsOf, writeConfig } from "../../lab/mda.ts";
import { type Output, type Place, type Program, start, tryRun } from "../../lab/program.ts";

/** The commands that a pin directory is given to. */
export const commands = ["run", "enable", "disable", "reload", "status", "query"] as const;

export type CommandName = typeof commands[number];

export interface Where extends Confinement {
  /** More arguments. */
  args?: string[];
  /** A command that runs mda: `prlimit` with its options. */
  prefix?: string[];
  /** What `mda run` says when it is ready, where that is not to be seen. */
  ready?: RegExp;
  place?: Place;
}

/** mda with a pin directory and a configuration of the test's own. `await using` disables what is enabled there. */
export class Commands implements AsyncDisposable {
  readonly config = writeConfig("");

  constructor(readonly cgroup: Cgroup, readonly pinDir: string = newPinDir()) {}

  /** Runs a command to its end, whatever that is. */
  async try(command: CommandName, where: Where = {}): Promise<Output> {
    return await tryRun(where.place ?? {}, this.#line(command, where), { timeoutMs: 40_000 });
  }

  /** Runs a command that must fail with one line. Returns it. */
  async refused(command: CommandName, where: Where = {}): Promise<string> {
    const { code, stdout, stderr } = await this.try(command, where);
    assert.deepEqual([code, stdout], [1, ""], `${command}: ${stderr}`);
    assert.match(stderr, /^mda: Cannot [^\n]*\n$/);
    return stderr;
  }

  /** Runs a command that must succeed and have nothing to complain of. Returns what it printed. */
  async succeed(command: CommandName, where: Where = {}): Promise<string> {
    const { code, stdout, stderr } = await this.try(command, where);
    assert.deepEqual([code, stderr], [0, ""], `${command}: ${stdout}`);
    return stdout;
  }

  /** Starts `mda run`, and waits until it is ready. */
  async run(where: Where = {}): Promise<Program> {
    const program = start(where.place ?? {}, this.#line("run", where));
    try {
      await program.says(where.ready ?? /ready: /, 20_000);
      return program;
    } catch (error) {
      await program[Symbol.asyncDispose]();
      throw error;
    }
  }

  #line(command: CommandName, { args = [], prefix = [], ...where }: Where): string[] {
    const starts = command === "run" || command === "enable";
    const own = starts && !args.includes("--config") ? ["--config", this.config] : [];
    if (starts && !args.includes("--no-cgroup")) own.push("--cgroup", this.cgroup.path);
    const given = args.filter((arg) => arg !== "--no-cgroup");
    return confined(where, [...prefix, binary, "--pin-dir", this.pinDir, command, ...own, ...given]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.try("disable", { args: ["--drain-timeout", "1", "--force"] });
    assert.equal(pinsOf(this.pinDir), undefined);
    Deno.removeSync(this.config);
  }
}
