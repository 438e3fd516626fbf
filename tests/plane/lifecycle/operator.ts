import assert from "node:assert/strict";
import { someMayWait } from "../../../src/plane/lifecycle/waker.ts";
import { binary, newPinDir, pinsOf, removePins, statusOf, writeConfig } from "../../lab/mda.ts";
import { type Output, type Program, start, tryRun } from "../../lab/program.ts";
import { waitFor } from "../../lab/wait.ts";
import type { Status } from "../../../src/views/status.ts";

/** What a user gets who does not ask for anything else. */
const unknown = ["--unknown", "learn"];
const patienceMs = 20_000;

export interface OperatorOptions {
  /** How long a stop may wait for readers: as mda's own when absent. */
  drainSeconds?: number;
}

/** How an operator can say that there are new rules. */
export type ReloadBy = "SIGHUP" | "reload" | "reload --reapply";

/** Runs one mda after the other on a cgroup, with one pin directory. `await using` ends the last and clears its pins. */
export class Operator implements AsyncDisposable {
  /** How long each took. */
  readonly ms: Record<"start" | "reload" | "stop", number[]> = { start: [], reload: [], stop: [] };
  readonly #pinDir = newPinDir();
  readonly #config = writeConfig("");
  readonly #drain: string[];
  readonly #stopMs: number;
  #program: Program | undefined;

  constructor(readonly cgroup: string, { drainSeconds }: OperatorOptions = {}) {
    this.#drain = drainSeconds === undefined ? [] : ["--drain-timeout", `${drainSeconds}`];
    this.#stopMs = patienceMs + 1000 * (drainSeconds ?? 0);
  }

  /** Starts `mda run` and waits until it is ready. */
  async start(args: string[] = []): Promise<void> {
    const begin = performance.now();
    this.begin(args);
    await this.#program!.says(/ready: /, patienceMs);
    this.ms.start.push(performance.now() - begin);
  }

  /** Starts `mda run`, and does not wait. */
  begin(args: string[] = []): void {
    const command = [binary, "run", "--config", this.#config, "--cgroup", this.cgroup];
    this.#program = start({}, [...command, "--pin-dir", this.#pinDir, ...unknown, ...this.#drain, ...args]);
  }

  /** Stops `mda run`, which must succeed. */
  async stop(): Promise<void> {
    const begin = performance.now();
    const program = this.#program!;
    const { code } = await program.stop("SIGTERM", this.#stopMs);
    this.ms.stop.push(performance.now() - begin);
    assert.equal(code, 0, program.stderr);
    assert.match(program.stderr, /stopped: every connection is on TCP$/m);
  }

  signal(signal: Deno.Signal): void {
    this.#program!.kill(signal);
  }

  async crash(): Promise<void> {
    this.signal("SIGKILL");
    await this.#program!.ended();
  }

  /** Gives the `mda run` that runs new rules, and waits until they hold. */
  async reload(rules: string, by: ReloadBy): Promise<void> {
    const program = this.#program!;
    const before = program.stderr.length;
    const said = () => /reloaded: /.test(program.stderr.slice(before));
    Deno.writeTextFileSync(this.#config, rules);
    const begin = performance.now();
    if (by === "SIGHUP") {
      this.signal("SIGHUP");
      await waitFor("the new rules", said, { everyMs: 1 });
      this.ms.reload.push(performance.now() - begin);
    } else {
      await this.reloadEnabled(rules, by);
      await waitFor("the log", said);
    }
  }

  /** As reload(), whether a process runs or not. */
  async reloadEnabled(rules: string, by: Exclude<ReloadBy, "SIGHUP">): Promise<void> {
    Deno.writeTextFileSync(this.#config, rules);
    const { code, stderr } = await this.#mda(...by.split(" "));
    assert.deepEqual([code, stderr], [0, ""]);
  }

  /** Accelerates without a process. */
  async enable(args: string[] = []): Promise<void> {
    const { code, stderr } = await this.#mda(
      "enable",
      "--config",
      this.#config,
      "--cgroup",
      this.cgroup,
      ...unknown,
      ...args,
    );
    // A reader that a killed mda has left full may rest for longer than is waited for it.
    assert.deepEqual([code, stderr.replace(`mda: ${someMayWait}\n`, "")], [0, ""]);
  }

  /** Disables what is there, and a process that runs. Returns what was said. */
  async disable(): Promise<string> {
    const { code, stdout, stderr } = await this.#mda("disable", ...this.#drain);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.equal(pinsOf(this.#pinDir), undefined);
    return stdout;
  }

  /** What `mda status` says. */
  async status(): Promise<Status> {
    return (await statusOf(this.#pinDir)).status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program?.[Symbol.asyncDispose]();
    removePins(this.#pinDir);
    Deno.removeSync(this.#config);
  }

  async #mda(...args: string[]): Promise<Output> {
    return await tryRun({}, [binary, ...args, "--pin-dir", this.#pinDir], { timeoutMs: this.#stopMs });
  }
}

/** Rule files: every connection, one port of these less each, all that there can be, none. */
export function ruleFiles(ports: number[]): string[] {
  const many = Array.from({ length: 255 }, (_, port) => `chain --port ${port + 1} -j RETURN\n`).join("");
  return [
    "",
    ...ports.map((port) => `chain --port ${port} -j RETURN\nchain -j ACCEPT\n`),
    `${many}chain -j ACCEPT\n`,
    "chain -j RETURN\n",
  ];
}
