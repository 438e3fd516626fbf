import { createCgroup } from "../tests/lab/cgroup.ts";
import { binary, Mda } from "../tests/lab/mda.ts";
import { run, start } from "../tests/lab/program.ts";
import { Older } from "../tests/lab/streams/older.ts";
import { sleep } from "../tests/lab/wait.ts";
import { usedMs } from "./cpu_time.ts";
import { holdConnections } from "./held_connections.ts";
import { type Limit, limit } from "./results.ts";
import type { Options } from "./workload.ts";

const listed = 15_000;
const shown = 1000;
/** Until the first table is there. */
const settleMs = 3000;
const topSeconds = 10;

/** What `mda conns` and `mda top` take. */
export async function measureLooks({ quick }: Options): Promise<Limit[]> {
  const rounds = quick ? 1 : 5;
  return [...await listMany(rounds), ...await watchSome(rounds)];
}

async function listMany(rounds: number): Promise<Limit[]> {
  await using cgroup = createCgroup("bench-conns");
  await using mda = await Mda.start({ cgroup });
  await using _held = await holdConnections({ cgroup }, listed);
  const times: Record<string, number[]> = { table: [], json: [] };
  for (let round = 0; round < rounds; round++) {
    for (const [format, took] of Object.entries(times)) {
      const begin = performance.now();
      await run({}, [
        "sh",
        "-c",
        'test $("$@" | grep -c 127.0.0.1) -ge "$0"',
        `${listed}`,
        ...conns(mda, format),
      ]);
      took.push(performance.now() - begin);
    }
  }
  await mda.stop();
  const name = `mda conns, ${listed.toLocaleString("en")} connections`;
  return [
    limit(name, "ms", 1000, times.table),
    limit(`${name}, as JSON`, "ms", undefined, times.json),
  ];
}

function conns({ pinDir }: Mda, format: string): string[] {
  return [binary, "--pin-dir", pinDir, "conns", "-o", format];
}

/** The share of a CPU that `mda top` takes on a terminal, beside connections that send. */
async function watchSome(rounds: number): Promise<Limit[]> {
  await using cgroup = createCgroup("bench-top");
  await using own = createCgroup("bench-top-itself");
  await using mda = await Mda.start({ cgroup });
  await using older = await Older.start({ cgroup }, { connections: shown });
  const percent: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const command = `stty cols 120 rows 40; exec ${binary} --pin-dir ${mda.pinDir} top`;
    await using _top = start({ cgroup: own }, ["script", "-qec", command, "/dev/null"]);
    await sleep(settleMs);
    const before = usedMs(own), begin = performance.now();
    while (performance.now() < begin + topSeconds * 1000) {
      await older.trips(1, 100);
      await sleep(500);
    }
    percent.push(100 * (usedMs(own) - before) / (performance.now() - begin));
  }
  await mda.stop();
  return [limit(`mda top, ${shown.toLocaleString("en")} connections, of a CPU`, "%", 3, percent)];
}
