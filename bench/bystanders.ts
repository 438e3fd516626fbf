import { hookNames } from "../src/state/pins.ts";
import { createCgroup } from "../tests/lab/cgroup.ts";
import { Mda, pinsOf } from "../tests/lab/mda.ts";
import { type Place, run } from "../tests/lab/program.ts";
import { freePort, startNginx, startRedis } from "../tests/lab/servers.ts";
import { runWrk } from "../tests/lab/wrk.ts";
import { sleep } from "../tests/lab/wait.ts";
import { Bystander, type BystanderSlice } from "./bystander.ts";
import { untilKnown } from "../tests/lab/known.ts";
import { type Interval, medianInterval, summarize } from "./statistics.ts";
import type { Options } from "./workload.ts";

/** Slices of a bystander each time that mda is on or off. */
const slices = 3;
/** For so long after a start, or a new program, all hooks stay attached (src/plane/upkeep/upkeep.ts), and a little longer. */
const settleMs = 5500;
/** Of redis' client: two seconds, so that mda finds it there when it looks into its code. */
const requests = "200000";

/** What mda is doing meanwhile, in its cgroup. */
interface Situation {
  accelerated: string;
  /** What is measured is what mda does first: it attaches all its hooks, and then those that it needs. */
  atFirst?: boolean;
  /** Starts programs there, and returns what uses them: then they are known to mda, and do nothing more. */
  start?(stack: AsyncDisposableStack, place: Place): Promise<() => Promise<unknown>>;
}

const situations: Situation[] = [
  { accelerated: "nothing, at first", atFirst: true },
  { accelerated: "nothing" },
  {
    accelerated: "redis",
    async start(stack, place) {
      const port = freePort();
      stack.use(await startRedis(place, { port }));
      return () => run(place, ["redis-benchmark", "-p", `${port}`, "-t", "get", "-n", requests, "-q"]);
    },
  },
  {
    accelerated: "nginx",
    async start(stack, place) {
      const port = freePort();
      stack.use(await startNginx(place, { port }, { bodies: { body: "a" } }));
      return () => runWrk(place, `http://127.0.0.1:${port}/body`, { connections: 4, seconds: 1 });
    },
  },
];

/** How a bystander does while mda runs, and while none does. */
export interface BystanderResult {
  bystander: string;
  unit: string;
  /** What mda accelerates meanwhile. */
  accelerated: string;
  /** Which of mda's hooks were attached, in the last slice. */
  hooks: string[];
  /** Medians. */
  without: number;
  with: number;
  /** With mda in multiples of without, slice by slice. */
  rate: Interval;
  cpuTime: Interval;
}

export interface Bystanders {
  results: BystanderResult[];
  /** How much of the CPUs' time others used in the slices without mda: 0 to 1. */
  othersShare: number;
}

/** What mda costs programs that it has nothing to do with: they are outside of its cgroup. */
export async function measureBystanders(options: Options, interrupted: AbortSignal): Promise<Bystanders> {
  await using stack = new AsyncDisposableStack();
  const bystanders = [stack.use(await Bystander.redis()), stack.use(await Bystander.wrk())];
  const results: BystanderResult[] = [];
  const shares: number[] = [];
  for (const situation of situations) {
    const { without, withMda, hooks } = await measureBeside(bystanders, situation, options, interrupted);
    for (const [index, { name }] of bystanders.entries()) {
      const names = { bystander: name, unit: "requests/s", accelerated: situation.accelerated, hooks };
      results.push({ ...names, ...compare(without[index], withMda[index]) });
    }
    shares.push(...without.flat().map(({ othersShare }) => othersShare));
  }
  return { results, othersShare: shares.reduce((sum, share) => sum + share, 0) / shares.length };
}

/** Of each bystander, one after the other. */
type Slices = BystanderSlice[][];

/** Starts and stops mda again and again; the slices with it are followed by as many without. */
async function measureBeside(
  bystanders: readonly Bystander[],
  { accelerated, atFirst, start }: Situation,
  { rounds }: Options,
  interrupted: AbortSignal,
): Promise<{ without: Slices; withMda: Slices; hooks: string[] }> {
  await using stack = new AsyncDisposableStack();
  const cgroup = stack.use(createCgroup("bench-accelerated"));
  const use = await start?.(stack, { cgroup });
  const without: Slices = bystanders.map(() => []), withMda: Slices = bystanders.map(() => []);
  let hooks: string[] = [];
  for (let round = 0; round < rounds; round++) {
    console.error(`bench: beside mda that accelerates ${accelerated}, round ${round + 1} of ${rounds}`);
    interrupted.throwIfAborted();
    await using mda = await Mda.start({ cgroup, args: ["--unknown", "learn"] });
    if (use) await untilKnown(mda, use);
    if (!atFirst) await sleep(settleMs);
    await addSlices(bystanders, withMda);
    hooks = hooksOf(mda);
    await mda.stop();
    await addSlices(bystanders, without);
  }
  return { without, withMda, hooks };
}

/** In turns, so that what disturbs the machine disturbs all alike. */
async function addSlices(bystanders: readonly Bystander[], measured: Slices): Promise<void> {
  for (let slice = 0; slice < slices; slice++) {
    for (const [index, bystander] of bystanders.entries()) measured[index].push(await bystander.slice());
  }
}

function hooksOf({ pinDir }: Mda): string[] {
  const pins = pinsOf(pinDir) ?? [];
  return hookNames.filter((name) => pins.includes(name));
}

function compare(
  without: readonly BystanderSlice[],
  withMda: readonly BystanderSlice[],
): Pick<BystanderResult, "without" | "with" | "rate" | "cpuTime"> {
  const ratio = (of: keyof BystanderSlice) =>
    medianInterval(withMda.map((slice, index) => slice[of] / without[index][of]));
  const rate = (slices: readonly BystanderSlice[]) =>
    summarize(slices.map(({ requestsPerSecond }) => requestsPerSecond)).median;
  return {
    without: rate(without),
    with: rate(withMda),
    rate: ratio("requestsPerSecond"),
    cpuTime: ratio("cpuMsPerRequest"),
  };
}
