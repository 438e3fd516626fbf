/**
 * Restarts, reloads and SIGKILLs spread over a time of mixed load, after which nothing may be broken or left over:
 *
 *     deno run --allow-all tests/lifecycle/soak.ts [SECONDS]
 *
 * 600 seconds have 200 of each, other times as many in proportion.
 */
import assert from "node:assert/strict";
import { createCgroup } from "../lab/cgroup.ts";
import { findLeftovers, readHostState } from "../lab/host_state.ts";
import { binary, newPinDir, pinsOf, removePins, runMda, writeConfig } from "../lab/mda.ts";
import { type Program, start } from "../lab/program.ts";
import { sleep, waitFor } from "../lab/wait.ts";
import { MixedLoad, type Seen } from "./mixed_load.ts";

const patienceMs = 20_000;

/** What a soak has done and found. */
export interface Soak extends Seen {
  seconds: number;
  restarts: number;
  reloads: number;
  kills: number;
  leftovers: string[];
  /** How long each took. */
  ms: Record<"start" | "reload" | "stop", number[]>;
}

type Action = "restart" | "reload" | "kill";

/** An mda that is restarted, reloaded and killed. */
class Driver implements AsyncDisposable {
  readonly ms: Soak["ms"] = { start: [], reload: [], stop: [] };
  readonly #pinDir = newPinDir();
  readonly #config = writeConfig("");
  readonly #rules: string[];
  readonly #command: string[];
  #program: Program | undefined;
  #reloads = 0;
  #kills = 0;

  constructor(cgroup: string, ports: number[]) {
    this.#command = [binary, "run", "--config", this.#config, "--cgroup", cgroup, "--pin-dir", this.#pinDir];
    const many = Array.from({ length: 255 }, (_, port) => `chain --port ${port + 1} -j RETURN\n`).join("");
    this.#rules = [
      "",
      ...ports.map((port) => `chain --port ${port} -j RETURN\nchain -j ACCEPT\n`),
      `${many}chain -j ACCEPT\n`,
      "chain -j RETURN\n",
    ];
  }

  async start(): Promise<void> {
    const begin = performance.now();
    this.#program = start({}, this.#command);
    await this.#program.says(/ready: /, patienceMs);
    this.ms.start.push(performance.now() - begin);
  }

  async do(action: Action): Promise<void> {
    if (action === "restart") {
      await this.#stop();
      await this.start();
    } else if (action === "reload") await this.#reload(this.#reloads++);
    else await this.#kill(this.#kills++);
  }

  /** As the last thing of all: what a killed one left is disabled. */
  async end(): Promise<void> {
    await this.#crash();
    const { code, stdout, stderr } = await this.#mda("disable");
    assert.deepEqual([code, stdout, stderr], [0, "disabled; every connection is on TCP\n", ""]);
    assert.equal(pinsOf(this.#pinDir), undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program?.[Symbol.asyncDispose]();
    removePins(this.#pinDir);
    Deno.removeSync(this.#config);
  }

  async #stop(): Promise<void> {
    const begin = performance.now();
    const program = this.#program!;
    const { code } = await program.stop("SIGTERM", patienceMs);
    this.ms.stop.push(performance.now() - begin);
    assert.equal(code, 0, program.stderr);
    assert.match(program.stderr, /stopped: every connection is on TCP$/m);
  }

  /** By SIGHUP and by command in turn; other rules each time, every second time for the connections that are there too. */
  async #reload(count: number): Promise<void> {
    Deno.writeTextFileSync(this.#config, this.#rules[count % this.#rules.length]);
    const { stderr } = this.#program!;
    const said = () =>
      this.#program!.stderr.length > stderr.length &&
      /reloaded: /.test(this.#program!.stderr.slice(stderr.length));
    const begin = performance.now();
    if (count % 2 === 0) {
      this.#program!.kill("SIGHUP");
      await waitFor("the new rules", said, { everyMs: 1 });
      this.ms.reload.push(performance.now() - begin);
      return;
    }
    const { code, stderr: error } = await this.#mda("reload", ...count % 4 === 1 ? [] : ["--reapply"]);
    assert.deepEqual([code, error], [0, ""]);
    await waitFor("the log", said);
  }

  /** While it works, in a reload, in a start or in a stop. */
  async #kill(count: number): Promise<void> {
    const moment = count % 4;
    if (moment === 1) {
      this.#program!.kill("SIGHUP");
      await sleep(Math.random() * 10);
    } else if (moment === 2) {
      await this.#stop();
      this.#program = start({}, this.#command);
      await sleep(200 + Math.random() * 400);
    } else if (moment === 3) {
      this.#program!.kill("SIGTERM");
      await sleep(Math.random() * 20);
    }
    await this.#crash();
    await this.start();
  }

  async #crash(): Promise<void> {
    this.#program!.kill("SIGKILL");
    await this.#program!.ended();
  }

  async #mda(...args: string[]) {
    return await runMda([...args, "--pin-dir", this.#pinDir]);
  }
}

/** Spreads `each` restarts, reloads and SIGKILLs over a time. */
export async function soak(seconds: number, each: number, report: (line: string) => void): Promise<Soak> {
  const before = await readHostState();
  const actions = shuffled<Action>(["restart", "reload", "kill"], each);
  const begin = performance.now();
  let seen: Seen, ms: Soak["ms"];
  {
    await using cgroup = createCgroup("soak");
    await using load = await MixedLoad.start(cgroup);
    await using driver = new Driver(cgroup.path, load.ports);
    await driver.start();
    for (const [index, action] of actions.entries()) {
      const at = begin + seconds * 1000 * index / actions.length;
      await sleep(Math.max(0, at - performance.now()));
      try {
        await driver.do(action);
        load.check();
      } catch (error) {
        throw new Error(`${action}, ${index + 1} of ${actions.length}: ${(error as Error).message}`, {
          cause: error,
        });
      }
      if ((index + 1) % 30 === 0) report(`${index + 1} of ${actions.length}`);
    }
    await driver.end();
    seen = await load.stop();
    ({ ms } = driver);
  }
  const leftovers = await findLeftovers(before);
  const taken = (performance.now() - begin) / 1000;
  return { ...seen, seconds: taken, restarts: each, reloads: each, kills: each, leftovers, ms };
}

/** `each` of every action, in no order but evenly. */
function shuffled<T>(actions: T[], each: number): T[] {
  return Array.from({ length: each }, () => actions.toSorted(() => Math.random() - 0.5)).flat();
}

function format(result: Soak): string {
  const { seconds, restarts, reloads, kills, connections, bytes, harm, leftovers, ms } = result;
  const rows: [string, string][] = [
    ["seconds", seconds.toFixed(0)],
    ["restarts", count(restarts)],
    ["reloads", count(reloads)],
    ["SIGKILLs", count(kills)],
    ["connections made", count(connections)],
    ["bytes compared", count(bytes)],
    ["broken or wrong", count(harm.length)],
    ["left over", count(leftovers.length)],
    ...Object.entries(ms).map(([name, values]): [string, string] => [
      `${name}, median and longest`,
      `${median(values).toFixed(0)} ms, ${Math.max(...values).toFixed(0)} ms`,
    ]),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return [...rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`), ...harm, ...leftovers].join(
    "\n",
  );
}

const count = (value: number) => value.toLocaleString("en");

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

if (import.meta.main) {
  const seconds = Number(Deno.args[0] ?? 600);
  if (!(seconds > 0)) {
    console.error("usage: soak.ts [SECONDS]");
    Deno.exit(2);
  }
  const result = await soak(seconds, Math.ceil(seconds / 3), (line) => console.error(`soak: ${line}`));
  console.log(format(result));
  Deno.exit(result.harm.length + result.leftovers.length === 0 ? 0 : 1);
}
