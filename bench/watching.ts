import { captureFile, endDump, readLost, startDump } from "../tests/lab/dump.ts";
import { createCgroup } from "../tests/lab/cgroup.ts";
import { binary, Mda } from "../tests/lab/mda.ts";
import { type Place, type Program, run, start } from "../tests/lab/program.ts";
import { createNetns } from "../tests/lab/netns.ts";
import { startNginx, startRedis } from "../tests/lab/servers.ts";
import { Older } from "../tests/lab/streams/older.ts";
import { sleep } from "../tests/lab/wait.ts";
import { runWrk } from "../tests/lab/wrk.ts";
import { untilKnown } from "../tests/lab/known.ts";
import { faultless } from "./nginx.ts";
import { type Limit, limit } from "./results.ts";
import { type Options, wholeSeconds } from "./workload.ts";

const nginxPort = 8082;
const redisPort = 6382;
const messageBytes = 100;
/** Of the load that is no more than so many messages a second. */
const pacedMessages = 10_000;
const pacedConnections = 10;
const pacedTrips = 20;
const pacedSeconds = 5;

/** What programs lose while somebody watches them, and how much of it the watcher loses. */
export async function measureWatching(options: Options): Promise<Limit[]> {
  await using stack = new AsyncDisposableStack();
  const cgroup = stack.use(createCgroup("bench-watching"));
  const netns = stack.use(await createNetns("bench-watching"));
  await netns.sysctl("net.ipv4.ip_local_port_range", "10000 65535");
  const place = { cgroup, netns };
  const mda = stack.use(await Mda.start({ cgroup, args: ["--unknown", "learn"] }));
  const limits = [
    ...await besideTrace(stack, place, mda, options),
    ...await besideDump(stack, place, mda, options),
    ...await pacedDump(place, mda),
  ];
  await mda.stop();
  return limits;
}

/** Connections, each for one request. */
async function besideTrace(
  stack: AsyncDisposableStack,
  place: Place,
  mda: Mda,
  options: Options,
): Promise<Limit[]> {
  stack.use(await startNginx(place, { port: nginxPort }, { bodies: { body: "a".repeat(100) } }));
  const wrk = { connections: 16, seconds: wholeSeconds(options), close: true };
  const load = async () =>
    faultless(await runWrk(place, `http://127.0.0.1:${nginxPort}/body`, wrk)).requestsPerSecond;
  await untilKnown(mda, load);
  const watch = () => startQuietly(mda, "trace", /tracing; Ctrl-C/);
  const { watched, slower, lost } = await compare(
    options,
    load,
    watch,
    lostBy(/^([\d,]+) events? lost in all$/m),
  );
  return [
    limit("a connection a request beside mda trace", "requests/s", undefined, watched),
    limit("a connection a request beside mda trace, slower by", "%", 10, slower),
    limit("a connection a request beside mda trace, events lost", "", undefined, lost),
  ];
}

/** Small messages, as many as can be. */
async function besideDump(
  stack: AsyncDisposableStack,
  place: Place,
  mda: Mda,
  options: Options,
): Promise<Limit[]> {
  stack.use(await startRedis(place, { port: redisPort }));
  const benchmark = [
    "redis-benchmark",
    "-p",
    `${redisPort}`,
    "-c",
    "50",
    "-t",
    "get",
    "-d",
    `${messageBytes}`,
  ];
  const requests = Math.round(100_000 * options.sliceSeconds);
  const load = async () => {
    const csv = await run(place, [...benchmark, "--csv", "-n", `${requests}`]);
    return Number(/^"GET","([\d.]+)"/m.exec(csv)![1]);
  };
  await untilKnown(mda, load);
  using file = captureFile();
  const watch = () => startDump(mda, "-w", file.path);
  const { watched, slower, lost } = await compare(options, load, watch, () => readLost(file.path));
  return [
    limit("redis, 50 conn, beside mda dump", "requests/s", undefined, watched),
    limit("redis, 50 conn, beside mda dump, slower by", "%", 20, slower),
    limit("redis, 50 conn, beside mda dump, packets lost", "", undefined, lost),
  ];
}

/** No more messages than a dump should bear without loss. */
async function pacedDump(place: Place, mda: Mda): Promise<Limit[]> {
  using file = captureFile();
  await using older = await Older.start(place, { connections: pacedConnections });
  await older.trips(pacedTrips, messageBytes);
  await using dump = await startDump(mda, "-w", file.path);
  const everyMs = 1000 * 2 * pacedTrips * pacedConnections / pacedMessages;
  const begin = performance.now();
  let bursts = 0;
  for (; performance.now() < begin + pacedSeconds * 1000; bursts++) {
    await sleep(Math.max(0, begin + bursts * everyMs - performance.now()));
    await older.trips(pacedTrips, messageBytes);
  }
  const seconds = (performance.now() - begin) / 1000;
  await endDump(dump);
  return [
    limit("mda dump beside few messages", "messages/s", undefined, [
      2 * pacedTrips * pacedConnections * bursts / seconds,
    ]),
    limit("mda dump beside few messages, packets lost", "", 0, [readLost(file.path)]),
  ];
}

interface Comparison {
  /** Requests a second. */
  watched: number[];
  /** In percent of the requests without. */
  slower: number[];
  lost: number[];
}

/** Runs a load with and without who watches, in turns. */
async function compare(
  { rounds }: Options,
  load: () => Promise<number>,
  watch: () => Promise<Program>,
  lostOf: (program: Program) => number,
): Promise<Comparison> {
  const found: Comparison = { watched: [], slower: [], lost: [] };
  const watchedRate = async () => {
    await using program = await watch();
    const rate = await load();
    program.kill("SIGINT");
    await program.ended();
    found.lost.push(lostOf(program));
    return rate;
  };
  for (let round = 0; round < rounds; round++) {
    console.error(`bench: beside who watches, round ${round + 1} of ${rounds}`);
    let watched: number, alone: number;
    if (round % 2 === 0) [watched, alone] = [await watchedRate(), await load()];
    else [alone, watched] = [await load(), await watchedRate()];
    found.watched.push(watched);
    found.slower.push(100 * (1 - watched / alone));
  }
  return found;
}

/** A command of mda whose output nobody reads. */
async function startQuietly({ pinDir }: Mda, command: string, said: RegExp): Promise<Program> {
  const words = ["sh", "-c", 'exec "$@" >/dev/null', "sh", binary, "--pin-dir", pinDir, command];
  const program = start({}, words);
  await program.says(said);
  return program;
}

function lostBy(pattern: RegExp): (program: Program) => number {
  return ({ stderr }) => Number(pattern.exec(stderr)?.[1].replaceAll(",", "") ?? 0);
}
