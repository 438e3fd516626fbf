/**
 * Switches mda on, off and over at random, under streams of every kind whose bytes are checked:
 *
 *     deno run --allow-all tests/torture/torture.ts [SECONDS] [SEED] [FAMILY...]
 *
 * The seed decides what is switched in which order, and what the streams do; how long each takes is the kernel's. Standard
 * error has each switch with its time, as torture.c has what it finds.
 */
import assert from "node:assert/strict";
import { Random } from "../lab/random.ts";
import { createCgroup } from "../lab/cgroup.ts";
import { findLeftovers, readHostState } from "../lab/host_state.ts";
import { sleep } from "../lab/wait.ts";
import { Operator, type ReloadBy, ruleFiles } from "../plane/lifecycle/operator.ts";
import { type Checked, Checker } from "./checker.ts";

/**
 * What the ends of one copy of the checker may do. Copies, since mda may learn what a program does: a habit that keeps one
 * program on TCP must not keep all.
 */
interface Family {
  habits: string;
  /** Not run unless named: what docs/limits.md says of it. */
  limit?: string;
}

const families: Record<string, Family> = {
  recv: { habits: "all,-readv,-recvmsg,-peek,-splice,-lowat,-blocking" },
  readers: { habits: "all,-splice,-lowat,-blocking" },
  lowat: { habits: "all,-splice,-blocking" },
  // A blocking read may end early with EAGAIN (docs/limits.md): the checker counts these, and goes on.
  blocking: { habits: "all,-splice,-lowat" },
  splice: {
    habits: "all,-lowat,-blocking",
    limit:
      "the first splice(2) of a program that has received, on a connection whose peer has closed, ends the stream early",
  },
};

const connectionsPerFamily = 100;
const nice = 10;
/** docs/limits.md: a reader on edges that was full gets its edge up to 2 s later, when readers stay behind. */
const edgesLateMs = 2000;
/** A reader on edges that has not read by then may wait for ever (docs/limits.md); those of the checker are slow. */
const drainSeconds = 30;

/** What a torture run has done and found. */
export interface Torture {
  seed: number;
  seconds: number;
  /** How often each was done. */
  switches: Record<string, number>;
  checked: Record<string, Checked>;
  /** That the counters of all mdas name. */
  redirectedBytes: number;
  /** How much of the time it was one's task to redirect. */
  acceleratedSeconds: number;
  /** What went wrong, a line each, after the switches that came before. */
  harm: string[];
  leftovers: string[];
}

type State = "running" | "enabled" | "killed" | "off";

/** Makes one switch after the other, as its random numbers say. */
class Switcher {
  readonly switches: Record<string, number> = {};
  readonly log: string[] = [];
  redirectedBytes = 0;
  acceleratedMs = 0;
  #state: State = "off";
  #since = performance.now();
  #seenBytes = 0;
  readonly #rules: string[];

  constructor(
    readonly operator: Operator,
    readonly checkers: Checker[],
    readonly random: Random,
    readonly report: (line: string) => void,
  ) {
    // IPv4's and IPv6's port of each: RETURN goes by a port at either end.
    const files = ruleFiles(checkers.flatMap(({ ports }) => ports.slice(0, 2)));
    this.#rules = [...files, "", "", "chain --ip 127.0.0.0/8 -j ACCEPT\n", "chain --ip ::1 -j ACCEPT\n"];
  }

  /** Does one switch that is possible now. */
  async next(): Promise<void> {
    await this.#count();
    if (this.#state === "running") await this.#fromRunning();
    else if (this.#state === "enabled") await this.#fromEnabled();
    else await this.#fromNothing();
  }

  /** How long to wait until the next switch. */
  get pauseMs(): number {
    // Readers on edges may stand still meanwhile.
    if (this.#state === "killed") return this.random.below(1000);
    if (this.#state === "off") return this.random.below(1500);
    return this.random.chance(40) ? this.random.below(500) : this.random.below(6000);
  }

  /** As the last thing of all. */
  async end(): Promise<void> {
    await this.#count();
    const said = await this.#do("disable", () => this.operator.disable());
    if (this.#state === "off") assert.equal(said, "was not enabled\n");
    this.#become("off");
  }

  async #fromRunning(): Promise<void> {
    const { random, operator } = this;
    const kind = random.below(10);
    if (kind < 5) {
      const by = random.pick<ReloadBy>(["SIGHUP", "reload", "reload --reapply"]);
      const rules = random.below(this.#rules.length);
      await this.#do(`${by}`, () => operator.reload(this.#rules[rules], by), `rules ${rules}`);
    } else if (kind < 7) {
      await this.#do("stop", () => operator.stop());
      this.#become("off");
    } else if (kind < 8) {
      await this.#do("disable", () => operator.disable());
      this.#become("off");
    } else {
      const moment = random.pick(["at work", "in a reload", "in a stop"]);
      const ms = random.below(30);
      this.#helped(false);
      await this.#do("kill", async () => {
        if (moment === "in a reload") operator.signal("SIGHUP");
        if (moment === "in a stop") operator.signal("SIGTERM");
        if (moment !== "at work") await sleep(ms);
        await operator.crash();
      }, moment);
      this.#become("killed");
    }
  }

  async #fromEnabled(): Promise<void> {
    const { random, operator } = this;
    const kind = random.below(10);
    if (kind < 3) {
      const by = random.pick(["reload", "reload --reapply"] as const);
      const rules = random.below(this.#rules.length);
      await this.#do(
        `${by}, enabled`,
        () => operator.reloadEnabled(this.#rules[rules], by),
        `rules ${rules}`,
      );
    } else if (kind < 4) {
      await this.#do("enable, enabled", () => operator.enable());
    } else if (kind < 6) {
      await this.#do("disable", () => operator.disable());
      this.#become("off");
      this.#helped(true);
    } else await this.#start();
  }

  /** Off, or killed. */
  async #fromNothing(): Promise<void> {
    const { random, operator } = this;
    const kind = random.below(10);
    if (kind < 1) {
      await this.#do("disable", () => operator.disable());
      this.#become("off");
      this.#helped(true);
    } else if (kind < 3) {
      await this.#do("enable", () => operator.enable());
      this.#become("enabled");
    } else if (kind < 4) {
      const ms = random.below(900);
      this.#helped(false);
      await this.#do("kill", async () => {
        operator.begin();
        await sleep(ms);
        await operator.crash();
      }, `in a start, after ${ms} ms`);
      this.#become("killed");
    } else await this.#start();
  }

  async #start(): Promise<void> {
    const args = this.random.pick([
      [],
      [],
      [],
      ["--no-adopt"],
      ["--watch"],
      ["--max-connections", "5000"],
      ["--sockets", "all"],
    ]);
    await this.#do("run", () => this.operator.start(args), args.join(" "));
    this.#become("running");
    this.#helped(true);
  }

  async #do<T>(name: string, action: () => Promise<T>, details = ""): Promise<T> {
    this.switches[name] = (this.switches[name] ?? 0) + 1;
    const what = details ? `${name} (${details})` : name;
    this.#say(what);
    try {
      const result = await action();
      this.#say(`${what}: done`);
      return result;
    } catch (error) {
      throw new Error(`${what}, after ${this.log.slice(-10).join(", ")}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  #say(what: string): void {
    const line = `${new Date().toISOString().slice(11, 23)} ${what}`;
    this.log.push(line);
    this.report(line);
  }

  #become(state: State): void {
    const now = performance.now();
    if (this.#state === "running" || this.#state === "enabled") this.acceleratedMs += now - this.#since;
    this.#state = state;
    this.#since = now;
  }

  #helped(yes: boolean): void {
    for (const checker of this.checkers) checker.helped(yes);
  }

  /** Counters go on from one mda to the next that takes over, and begin anew otherwise. */
  async #count(): Promise<void> {
    if (this.#state === "off") return void (this.#seenBytes = 0);
    const { redirected: { bytes } } = await this.operator.status();
    this.redirectedBytes += bytes >= this.#seenBytes ? bytes - this.#seenBytes : bytes;
    this.#seenBytes = bytes;
  }
}

/**
 * Runs the checkers for so many seconds, and switches meanwhile.
 *
 * @param report is told of each switch, as it is made
 */
export async function torture(
  seconds: number,
  seed: number,
  names: string[] = defaultFamilies(),
  report: (line: string) => void = () => {},
): Promise<Torture> {
  const before = await readHostState();
  const begin = performance.now();
  const checked: Torture["checked"] = {};
  const harm: string[] = [];
  let switcher: Switcher;
  const directory = Deno.makeTempDirSync({ prefix: "mda-test-" });
  try {
    await using cgroup = createCgroup("torture");
    await using parts = new AsyncDisposableStack();
    const checkers: Checker[] = [];
    for (const name of names) {
      const { habits } = families[name];
      const options = { name, directory, habits, connections: connectionsPerFamily, edgesLateMs };
      // The same, whichever families run with it.
      const own = { seed: seed * 16 + Object.keys(families).indexOf(name), seconds: 2 * seconds + 600 };
      checkers.push(parts.use(await Checker.start({ cgroup, nice }, { ...options, ...own })));
    }
    const operator = parts.use(new Operator(cgroup.path, { drainSeconds }));
    switcher = new Switcher(operator, checkers, new Random(seed), report);
    const found = () => checkers.flatMap(({ harm }) => harm);
    while (performance.now() - begin < seconds * 1000 && found().length === 0) {
      await switcher.next();
      await sleep(switcher.pauseMs);
      for (const { program } of checkers) if (!program.running) throw program.error("it ended");
    }
    await switcher.end();
    for (const checker of checkers) checked[checker.name] = await checker.stop();
    harm.push(...withSwitches(found(), switcher.log));
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
  return {
    seed,
    seconds: (performance.now() - begin) / 1000,
    switches: switcher.switches,
    checked,
    redirectedBytes: switcher.redirectedBytes,
    acceleratedSeconds: switcher.acceleratedMs / 1000,
    harm,
    leftovers: await findLeftovers(before),
  };
}

/** Which part of the bytes was redirected, while there was an mda to do so: 0 to 1. */
export function redirectedShare({ checked, seconds, redirectedBytes, acceleratedSeconds }: Torture): number {
  const bytes = Object.values(checked).reduce((sum, { bytes }) => sum + bytes, 0);
  return bytes === 0 ? 0 : redirectedBytes / (bytes * acceleratedSeconds / seconds);
}

/** All but those of which docs/limits.md says that mda cannot serve them. */
export function defaultFamilies(): string[] {
  return Object.keys(families).filter((name) => !families[name].limit);
}

/** In the order of time: each line begins with it. Of the switches, those around the first harm. */
function withSwitches(harm: string[], log: string[]): string[] {
  if (harm.length === 0) return [];
  const first = log.findIndex((line) => line > harm[0]);
  const around = first < 0 ? log.slice(-12) : log.slice(Math.max(0, first - 12), first + 4);
  return [...around.map((line) => `${line} [switch]`), ...harm].sort();
}

function format(result: Torture): string {
  const sum = (of: (checked: Checked) => number) =>
    Object.values(result.checked).reduce((total, checked) => total + of(checked), 0);
  const switches = Object.entries(result.switches).map(([name, times]) => `${times} x ${name}`);
  const lines = [
    ...result.harm,
    ...result.leftovers.map((name) => `left over: ${name}`),
    `switches: ${switches.join(", ")}`,
    `redirected: ${count(result.redirectedBytes)} bytes, ${
      (100 * redirectedShare(result)).toFixed(0)
    } % of those of the ${result.acceleratedSeconds.toFixed(0)} s in which mda accelerated`,
    `seed ${result.seed}: ${result.seconds.toFixed(0)} s, ${count(sum(({ connections }) => connections))} ` +
    `connections, ${count(sum(({ bytes }) => bytes))} bytes verified, ${sum(({ wrong }) => wrong)} wrong, ` +
    `${sum(({ stalled }) => stalled)} stalled, ${
      sum(({ broken }) => broken)
    } broken, ${result.leftovers.length} ` +
    "left over",
  ];
  return lines.join("\n");
}

const count = (value: number) => value.toLocaleString("en");

if (import.meta.main) {
  const seconds = Number(Deno.args[0] ?? 300);
  const seed = Number(Deno.args[1] ?? Math.floor(Math.random() * 1e6));
  const names = Deno.args.length > 2 ? Deno.args.slice(2) : defaultFamilies();
  if (
    !(seconds > 0) || !Number.isSafeInteger(seed * 16) || seed < 0 || names.some((name) => !families[name])
  ) {
    console.error(
      `usage: torture.ts [SECONDS] [SEED] [FAMILY...], families: ${Object.keys(families).join(" ")}`,
    );
    Deno.exit(2);
  }
  console.error(`torture: seed ${seed}, ${names.join(" ")}`);
  const result = await torture(seconds, seed, names, (line) => console.error(`torture: ${line}`));
  console.log(format(result));
  Deno.exit(result.harm.length + result.leftovers.length === 0 ? 0 : 1);
}
