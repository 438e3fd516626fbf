/**
 * Measures plain TCP, the textbook data plane and mda side by side, and another build of mda if one is given: all their
 * servers run all the time, and clients are started for short slices, variant by variant, so that what disturbs the machine
 * disturbs all alike.
 *
 *     deno run --allow-all bench/bench.ts [--quick] [--rounds N] [--seconds S] [--before BINARY] [-o json] [NAME...]
 */
import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { answers } from "./answers.ts";
import { type Bystanders, measureBystanders } from "./bystanders.ts";
import { type Conditions, describeRun, formatConditions } from "./conditions.ts";
import { measureCommands } from "./commands.ts";
import { measureFirstMinute } from "./first_minute.ts";
import { measureFootprint } from "./footprint.ts";
import { measureHooks } from "./hooks.ts";
import { http2 } from "./http2.ts";
import { measureIdleStop } from "./idle_stop.ts";
import { measureKernelMemory } from "./kernel_memory.ts";
import { measureLearning } from "./learning.ts";
import { measureLifecycle } from "./lifecycle.ts";
import { measureLooks } from "./looks.ts";
import { measureSlices } from "./measure.ts";
import { memcached } from "./memcached.ts";
import { mesh } from "./mesh.ts";
import { nginx } from "./nginx.ts";
import { peer } from "./peer.ts";
import { placements, placePrograms } from "./placement.ts";
import { postgres } from "./postgres.ts";
import { redis } from "./redis.ts";
import { evaluate, type Limit, type Measured, type Result } from "./results.ts";
import { short } from "./short.ts";
import { streams } from "./streams.ts";
import { formatTable } from "./table.ts";
import { startVariants } from "./variants.ts";
import { verdict } from "./verdict.ts";
import { measureWatching } from "./watching.ts";
import type { Options, Slice, Workload } from "./workload.ts";

const workloads: Record<string, Workload> = {
  redis,
  verdict,
  memcached,
  postgres,
  nginx,
  http2,
  short,
  streams,
  answers,
  peer,
  mesh,
};
/** What `--quick` leaves out where nothing is named. */
const thorough = ["memcached", "postgres", "http2"];
const names = [
  ...Object.keys(workloads),
  "commands",
  "footprint",
  "lifecycle",
  "learning",
  "hooks",
  "memory",
  "looks",
  "watching",
];

const program = new Command("bench")
  .description(
    "Measures plain TCP, the textbook sockmap data plane, mda and maybe another build of it side by side.",
  )
  .argument("[NAME...]", `what to measure, of ${names.join(", ")} (default: all)`, known, [])
  .option("--rounds <N>", "how often each client is started", numberFrom(1))
  .option("--seconds <S>", "how long a client runs (wrk and iperf3: whole seconds)", numberFrom(0.1), 1)
  .option("--connections <N>", "wrk's connections to nginx, instead of the usual ones", numberFrom(1))
  .option("--bodies <KiB,...>", "nginx's bodies, instead of the usual ones", sizes)
  .addOption(
    new Option("--cpus <WHICH>", "one for servers and clients, two: one for each, or whichever is free")
      .choices(placements)
      .default("free" as const),
  )
  .option("--before <BINARY>", "another build of mda, measured as well", build)
  .option("--quick", "the most telling rows only, and less often", false)
  .option("--cpu", "also the CPU time of a request, of both ends together (default: not with --quick)")
  .option("--no-cpu", "no CPU time")
  .addOption(
    new Option("-o, --output <FORMAT>", "how to print")
      .choices(["table", "json"] as const)
      .default("table" as const),
  );

function known(name: string, before: string[]): string[] {
  if (!names.includes(name)) throw new InvalidArgumentError(`There are: ${names.join(", ")}.`);
  return [...before, name];
}

function numberFrom(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!(value >= least)) throw new InvalidArgumentError(`It is a number from ${least} on.`);
    return value;
  };
}

function sizes(text: string): number[] {
  return text.split(",").map(numberFrom(1));
}

function build(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

interface Report {
  conditions: Conditions;
  results: Result[];
  limits: Limit[];
  bystanders?: Bystanders;
}

async function measure(
  chosen: readonly string[],
  options: Options,
  interrupted: AbortSignal,
): Promise<Report> {
  await using stack = new AsyncDisposableStack();
  const limits: Limit[] = [];
  if (chosen.includes("commands")) limits.push(...await measureCommands(options));
  if (chosen.includes("footprint")) limits.push(...await measureFootprint(options));
  interrupted.throwIfAborted();
  if (chosen.includes("lifecycle")) {
    limits.push(...await measureLifecycle(options), ...await measureIdleStop(options));
  }
  interrupted.throwIfAborted();
  if (chosen.includes("learning")) limits.push(...await measureLearning(options));
  interrupted.throwIfAborted();
  if (chosen.includes("looks")) limits.push(...await measureLooks(options));
  if (chosen.includes("watching")) limits.push(...await measureWatching(options));
  interrupted.throwIfAborted();
  if (chosen.includes("hooks")) limits.push(...measureHooks(options));
  const bystanders = chosen.includes("hooks") ? await measureBystanders(options, interrupted) : undefined;
  interrupted.throwIfAborted();
  const first: Measured[] = chosen.includes("short") && !options.quick
    ? await measureFirstMinute(options, interrupted)
    : [];
  const variants = await startVariants(stack, options.before);
  const slices: Slice[] = [];
  for (const [name, start] of Object.entries(workloads)) {
    interrupted.throwIfAborted();
    if (chosen.includes(name)) slices.push(...await start(stack, variants, options));
  }
  await placePrograms(options.cpus, variants);
  const { measured, othersShare } = await measureSlices(slices, variants, options, interrupted);
  await placePrograms("free", variants);
  if (chosen.includes("memory")) limits.push(...await measureKernelMemory(variants, options));
  await variants.mda.stop();
  const conditions = await describeRun(options, othersShare);
  return { conditions, results: [...measured, ...first].map(evaluate), limits, bystanders };
}

const formatReport = ({ results, limits, bystanders }: Report) => formatTable(results, limits, bystanders);

program.parse(["", "", ...Deno.args]);
const { output, rounds, seconds, bodies, quick, cpu, ...rest } = program.opts();
const options = {
  ...rest,
  rounds: rounds ?? (quick ? 3 : 7),
  sliceSeconds: seconds,
  bodiesKiB: bodies,
  quick,
  cpu: cpu ?? !quick,
};
const chosen = program.args.length > 0
  ? program.args
  : names.filter((name) => !quick || !thorough.includes(name));
const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => interruption.abort(new Error(`${signal} before the end`)));
}
try {
  const report = await measure(chosen, options, interruption.signal);
  if (output === "json") console.log(JSON.stringify(report, null, 2));
  else console.log(`${formatConditions(report.conditions)}\n\n${formatReport(report)}`);
  Deno.exit(0);
} catch (thrown) {
  // Ctrl-C ends the clients too: what they say then is not the reason.
  const error = interruption.signal.reason ?? thrown;
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  Deno.exit(1);
}
