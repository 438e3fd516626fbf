/**
 * Restarts, reloads and SIGKILLs spread over a time of mixed load, after which nothing may be broken or left over:
 *
 *     deno run --allow-all tests/plane/lifecycle/soak.ts [SECONDS]
 *
 * 600 seconds have 200 of each, other times as many in proportion.
 */
import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { findLeftovers, readHostState } from "../../lab/host_state.ts";
import { sleep } from "../../lab/wait.ts";
import { MixedLoad, type Seen } from "./mixed_load.ts";
import { Operator, ruleFiles } from "./operator.ts";

/** What a soak has done and found. */
export interface Soak extends Seen {
  seconds: number;
  restarts: number;
  reloads: number;
  kills: number;
  leftovers: string[];
  /** How long each took. */
  ms: Operator["ms"];
}

type Action = "restart" | "reload" | "kill";

/** Restarts, reloads and kills an mda, each time in another way. */
class Driver {
  readonly #rules: string[];
  #reloads = 0;
  #kills = 0;

  constructor(readonly operator: Operator, ports: number[]) {
    this.#rules = ruleFiles(ports);
  }

  async do(action: Action): Promise<void> {
    if (action === "restart") {
      await this.operator.stop();
      await this.operator.start();
    } else if (action === "reload") await this.#reload(this.#reloads++);
    else await this.#kill(this.#kills++);
  }

  /** As the last thing of all: what a killed one left is disabled. */
  async end(): Promise<void> {
    await this.operator.crash();
    assert.equal(await this.operator.disable(), "disabled; every connection is on TCP\n");
  }

  /** By SIGHUP and by command in turn; other rules each time, every second time for the connections that are there too. */
  async #reload(count: number): Promise<void> {
    const by = count % 2 === 0 ? "SIGHUP" : count % 4 === 1 ? "reload" : "reload --reapply";
    await this.operator.reload(this.#rules[count % this.#rules.length], by);
  }

  /** While it works, in a reload, in a start or in a stop. */
  async #kill(count: number): Promise<void> {
    const moment = count % 4;
    if (moment === 1) {
      this.operator.signal("SIGHUP");
      await sleep(Math.random() * 10);
    } else if (moment === 2) {
      await this.operator.stop();
      this.operator.begin();
      await sleep(200 + Math.random() * 400);
    } else if (moment === 3) {
      this.operator.signal("SIGTERM");
      await sleep(Math.random() * 20);
    }
    await this.operator.crash();
    await this.operator.start();
  }
}

/** Spreads `each` restarts, reloads and SIGKILLs over a time. */
export async function soak(seconds: number, each: number, report: (line: string) => void): Promise<Soak> {
  const before = await readHostState();
  const actions = shuffled<Action>(["restart", "reload", "kill"], each);
  const begin = performance.now();
  let seen: Seen, ms: Operator["ms"];
  {
    await using cgroup = createCgroup("soak");
    await using load = await MixedLoad.start(cgroup);
    await using operator = new Operator(cgroup.path);
    const driver = new Driver(operator, load.ports);
    await operator.start();
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
    ({ ms } = operator);
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
