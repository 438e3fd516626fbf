import { BpfMap } from "../src/libbpf/map.ts";
import { createCgroup } from "../tests/lab/cgroup.ts";
import { Mda } from "../tests/lab/mda.ts";
import { waitFor } from "../tests/lab/wait.ts";
import { holdConnections } from "./held_connections.ts";
import { type Limit, limit } from "./results.ts";
import type { Options } from "./workload.ts";

const connections = 10_000;
const outMs = 30_000;

/** How long a stop takes that has many connections to release, on which nothing happens meanwhile. */
export async function measureIdleStop({ quick }: Options): Promise<Limit[]> {
  const rounds = quick ? 1 : 5;
  await using cgroup = createCgroup("bench-idle-stop");
  const endedMs: number[] = [], outMs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await using mda = await Mda.start({ cgroup });
    await using _held = await holdConnections({ cgroup }, connections);
    const { connections: { active } } = await mda.status();
    if (active !== connections) {
      throw new Error(`Cannot use a stop: mda accelerates ${active} of ${connections} connections`);
    }
    const stop = await stopMs(mda);
    endedMs.push(stop.endedMs);
    outMs.push(stop.outMs);
  }
  const name = `stop with ${connections.toLocaleString("en")} idle`;
  return [
    limit(`${name}, SIGTERM to the end`, "ms", undefined, endedMs),
    limit(`${name}, SIGTERM to all out`, "ms", undefined, outMs),
  ];
}

/** From SIGTERM until the process has ended, and until no socket is in its sockhash. */
async function stopMs(mda: Mda): Promise<{ endedMs: number; outMs: number }> {
  // The map stays as long as somebody has it open: so it shows the sockets that stay in it, if any do.
  using sockets = BpfMap.openPinned(`${mda.pinDir}/sockets`)!;
  const begin = performance.now();
  const took = () => performance.now() - begin;
  const [endedMs, allOutMs] = await Promise.all([
    mda.stop().then(took),
    waitFor("the last socket to leave", () => isEmpty(sockets), { timeoutMs: outMs, everyMs: 2 }).then(took),
  ]);
  return { endedMs, outMs: allOutMs };
}

function isEmpty(map: BpfMap): boolean {
  for (const _key of map.keys()) return false;
  return true;
}
