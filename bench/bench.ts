/**
 * Measures plain TCP, the textbook data plane and mda side by side: all their servers run all the time, and clients are
 * started for short slices, variant by variant, so that what disturbs the machine disturbs all alike.
 *
 *     deno run --allow-all bench/bench.ts [--quick] [--rounds N] [--seconds S] [-o json] [NAME...]
 */
import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { iperf3 } from "./iperf3.ts";
import { Lab } from "./lab.ts";
import { mesh } from "./mesh.ts";
import { nginx } from "./nginx.ts";
import { redis } from "./redis.ts";
import { describeRun, formatConditions } from "./conditions.ts";
import { measureFootprint } from "./footprint.ts";
import { measureKernelMemory } from "./kernel_memory.ts";
import { evaluate, type Limit, type Measured, type Result } from "./results.ts";
import { formatTable } from "./table.ts";
import { startVariants } from "./variants.ts";
import type { Options, Slice, Workload } from "./workload.ts";

const workloads: Record<string, Workload> = { redis, nginx, iperf3, mesh };
const names = [...Object.keys(workloads), "footprint", "memory"];

const program = new Command("bench")
  .description("Measures plain TCP, the textbook sockmap data plane and mda side by side.")
  .argument("[NAME...]", `what to measure, of ${names.join(", ")} (default: all)`, known, [])
  .option("--rounds <N>", "how often each client is started", atLeast(1))
  .option(
    "--seconds <S>",
    "how long a client runs each time (wrk and iperf3: whole seconds)",
    atLeast(0.1),
    1,
  )
  .option("--connections <N>", "wrk's connections to nginx", atLeast(1), 4)
  .option("--quick", "the most telling rows only, in about a minute", false)
  .addOption(
    new Option("-o, --output <FORMAT>", "how to print").choices(["table", "json"] as const).default(
      "table" as const,
    ),
  )
  .parse(["", "", ...Deno.args]);

function known(name: string, before: string[]): string[] {
  if (!names.includes(name)) throw new InvalidArgumentError(`There are: ${names.join(", ")}.`);
  return [...before, name];
}

function atLeast(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!(value >= least)) throw new InvalidArgumentError(`It is a number from ${least} on.`);
    return value;
  };
}

interface Report {
  results: Result[];
  limits: Limit[];
}

async function measure(
  chosen: readonly string[],
  options: Options,
  interrupted: AbortSignal,
): Promise<Report> {
  await using lab = new Lab(interrupted);
  const limits = chosen.includes("footprint") ? await measureFootprint(lab) : [];
  const { variants, mda } = await startVariants(lab);
  const slices: Slice[] = [];
  for (const [name, start] of Object.entries(workloads)) {
    if (chosen.includes(name)) slices.push(...await start(lab, variants, options));
  }
  const results = (await measureSlices(slices, options.rounds)).map(evaluate);
  if (chosen.includes("memory")) limits.push(...await measureKernelMemory(lab, variants, mda));
  return { results, limits };
}

async function measureSlices(slices: readonly Slice[], rounds: number): Promise<Measured[]> {
  const measured = slices.map(({ rows, variants }) =>
    rows.map((row): Measured => ({
      row,
      values: Object.fromEntries(variants.map((variant) => [variant, []])),
    }))
  );
  for (let round = 0; round < rounds && slices.length > 0; round++) {
    console.error(`bench: round ${round + 1} of ${rounds}`);
    for (const [index, slice] of slices.entries()) {
      for (const variant of rotated(slice.variants, round)) {
        const numbers = await slice.measure(variant);
        measured[index].forEach(({ values }, row) => values[variant]!.push(numbers[row]));
      }
    }
  }
  return measured.flat();
}

function rotated<T>(items: readonly T[], by: number): T[] {
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

const { quick, seconds, connections, output } = program.opts();
const chosen = program.args.length > 0 ? program.args : names;
const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => interruption.abort(new Error(`Cannot finish: ${signal}`)));
}
try {
  const rounds = program.opts().rounds ?? (quick ? 3 : 7);
  const options = { rounds, sliceSeconds: seconds, connections, quick };
  const { results, limits } = await measure(chosen, options, interruption.signal);
  const conditions = describeRun(options);
  if (output === "json") console.log(JSON.stringify({ conditions, results, limits }, null, 2));
  else console.log(`${formatConditions(conditions)}\n\n${formatTable(results, limits)}`);
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  Deno.exit(1);
}
Deno.exit(0);
