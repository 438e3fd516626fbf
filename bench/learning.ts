import { readStatus } from "../src/views/status.ts";
import { createCgroup } from "../tests/lab/cgroup.ts";
import { Mda } from "../tests/lab/mda.ts";
import { Mesh } from "../tests/lab/mesh.ts";
import { start } from "../tests/lab/program.ts";
import type { Server } from "../tests/lab/servers.ts";
import { sleep, waitFor } from "../tests/lab/wait.ts";
import { type Limit, limit } from "./results.ts";
import type { Options } from "./workload.ts";

const connections = 32;
/** A request and its answer, on each of the three connections: see tests/lab/mesh.ts. */
const messagesPerRequest = 6;
const share = 0.95;
const windowMs = 100;
const longestMs = 30_000;

/**
 * How long a mesh whose sidecars mda has never seen goes over TCP: from its first request until nearly all messages are
 * redirected. The requests tell how many messages there are: those of connections that were left to TCP from the start
 * are in none of mda's counters.
 */
export async function measureLearning({ quick }: Options): Promise<Limit[]> {
  const rounds = quick ? 1 : 5;
  const seconds: number[] = [];
  for (let round = 0; round < rounds; round++) seconds.push(await secondsToLearn());
  const name = `new mesh, first request until ${share * 100} % are redirected`;
  return [limit(name, "s", undefined, seconds)];
}

async function secondsToLearn(): Promise<number> {
  await using cgroup = createCgroup("bench-learning");
  await using mesh = await Mesh.create({ cgroup });
  await using mda = await Mda.start({ cgroup, args: ["--unknown", "learn"] });
  const [, sidecar] = await mesh.startSidecars();
  const load = ["wrk", "-t1", `-c${connections}`, `-d${2 * longestMs / 1000}`, mesh.url];
  await using _load = start(mesh.place(0), load);
  await waitFor("the first request", async () => await requestsOf(sidecar) > 0, { everyMs: 1 });
  const begin = performance.now();
  for (let before = await sample(mda, sidecar); performance.now() - begin < longestMs;) {
    await sleep(windowMs);
    const after = await sample(mda, sidecar);
    const messages = messagesPerRequest * (after.requests - before.requests);
    if (messages > 0 && after.redirected - before.redirected >= share * messages) {
      return (performance.now() - begin) / 1000;
    }
    before = after;
  }
  throw new Error(`Cannot tell when a new mesh is redirected: not within ${longestMs / 1000} s`);
}

interface Sample {
  requests: number;
  redirected: number;
}

async function sample({ pinDir }: Mda, sidecar: Server): Promise<Sample> {
  return { requests: await requestsOf(sidecar), redirected: readStatus(pinDir).redirected.messages };
}

/** How many requests a haproxy has had: it says so on its stats socket, once a connection. */
async function requestsOf({ directory }: Server): Promise<number> {
  using connection = await Deno.connect({ transport: "unix", path: `${directory}/stats` });
  await connection.write(new TextEncoder().encode("show info\n"));
  const text = await new Response(connection.readable).text();
  return Number(/^CumReq: (\d+)$/m.exec(text)![1]);
}
