import { run } from "../tests/lab/program.ts";
import { startRedis } from "../tests/lab/servers.ts";
import { untilKnown } from "../tests/lab/known.ts";
import type { VariantName, Variants } from "./variants.ts";

const usualTests = ["SET", "GET"];
const learnLoad: Load = { connections: 50, requests: 50_000 };

/** What redis-benchmark is to do. */
export interface Load {
  connections: number;
  /** Of each test. */
  requests: number;
  tests?: readonly string[];
  /** Of a value. */
  bytes?: number;
  /** How many requests it sends at a time on a connection. */
  pipelined?: number;
  /** A connection for each request. */
  close?: boolean;
}

export interface TestResult {
  requestsPerSecond: number;
  p50Ms: number;
}

/** Loads a variant's redis-server; returns what each test has measured. */
export type LoadRedis = (name: VariantName, load: Load) => Promise<TestResult[]>;

/** Starts a redis-server for each variant, which mda knows when it is returned; that of plain TCP listens on AF_UNIX too. */
export async function startRedisServers(
  stack: AsyncDisposableStack,
  variants: Variants,
  port: number,
): Promise<LoadRedis> {
  const directory = Deno.makeTempDirSync({ prefix: "mda-bench-" });
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const socket = `${directory}/redis.sock`;
  for (const variant of variants.all) {
    stack.use(await startRedis(variant, { port }, variant.name === "tcp" ? socket : undefined));
  }
  const load: LoadRedis = async (name, load) => {
    const address = name === "unix" ? ["-s", socket] : ["-h", "127.0.0.1", "-p", `${port}`];
    const csv = await run(variants.find(name), ["redis-benchmark", ...address, ...argumentsOf(load)]);
    return (load.tests ?? usualTests).map((test) => resultOf(csv, test));
  };
  for (const { name, mda } of variants.all) {
    if (mda) await untilKnown(mda, () => load(name, learnLoad));
  }
  return load;
}

/** How many requests of each test plain TCP answers in so long, by a short load as `load` is otherwise. */
export async function requestsIn(
  loadRedis: LoadRedis,
  seconds: number,
  load: Omit<Load, "requests">,
): Promise<number> {
  const requests = 2000 * Math.min(load.connections, 10);
  const results = await loadRedis("tcp", { ...load, requests });
  return Math.ceil(results[0].requestsPerSecond * seconds / results.length);
}

function argumentsOf(
  { connections, requests, tests = usualTests, bytes = 3, pipelined, close }: Load,
): string[] {
  const words = ["-c", `${connections}`, "-n", `${requests}`, "-d", `${bytes}`, "--csv"];
  if (pipelined) words.push("-P", `${pipelined}`);
  if (close) words.push("-k", "0");
  return [...words, "-t", tests.join(",").toLowerCase()];
}

function resultOf(csv: string, test: string): TestResult {
  // "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms",...
  const line = csv.split("\n").find((line) => line.startsWith(`"${test}"`))!;
  const fields = line.replaceAll('"', "").split(",");
  return { requestsPerSecond: Number(fields[1]), p50Ms: Number(fields[4]) };
}
