/**
 * mda at work, for a first look: redis-server and redis-benchmark in a cgroup of their own, over TCP and then with mda.
 * Leaves nothing behind.
 *
 *     deno run --allow-all packaging/demo/demo.ts dist/mda
 */
import { setTimeout as sleep } from "node:timers/promises";
import { findCgroup2 } from "../../src/host/cgroup.ts";

const rounds = 3;
const requests = 100_000;
const connections = 50;
const readyMs = 10_000;

interface Measured {
  requestsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
}

const mda = Deno.args[0] ?? "dist/mda";
const name = `mda-demo-${Deno.pid}`;
const cgroup = `${findCgroup2()}/${name}`;
const pinDir = `/sys/fs/bpf/${name}`;

const directory = Deno.makeTempDirSync({ prefix: `${name}-` });
// As root wrote it: what is in the source tree may belong to whom it was copied from.
const config = `${directory}/sample.conf`;
Deno.copyFileSync(new URL("../sample.conf", import.meta.url), config);
Deno.chmodSync(config, 0o644);
Deno.chownSync(config, 0, 0);
Deno.mkdirSync(cgroup);

const interrupted = new Promise<never>((_resolve, reject) => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => reject(new Error(`Stopped by ${signal}`)));
  }
});

let run: Deno.ChildProcess | undefined;
try {
  await Promise.race([demonstrate(), interrupted]);
} catch (error) {
  console.error(`demo: ${(error as Error).message}`);
  Deno.exitCode = 1;
} finally {
  await stopMda();
  await removeCgroup();
  Deno.removeSync(directory, { recursive: true });
}
Deno.exit();

async function demonstrate(): Promise<void> {
  const port = freePort();
  const server = ["redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", directory];
  inCgroup(server, "null");
  await until("redis-server answers", async () => {
    (await Deno.connect({ hostname: "127.0.0.1", port: Number(port) })).close();
    return true;
  });
  const load = `redis-benchmark, GET, ${connections} connections, median of ${rounds} runs`;

  console.log(`\nOver TCP (${load}):`);
  const tcp = await measure(port);
  print(tcp);

  console.log(`\n$ ${mda} run --config packaging/sample.conf --cgroup ${cgroup} --pin-dir ${pinDir}`);
  run = new Deno.Command(mda, {
    args: ["run", "--config", config, "--cgroup", cgroup, "--pin-dir", pinDir],
    stdin: "null",
  }).spawn();
  const ended = run.status.then(({ code }) => {
    throw new Error(`${mda} has ended with exit status ${code}`);
  });
  await Promise.race([until("mda runs", async () => (await status("json")).success), ended]);

  console.log("\nWith mda, the same:");
  const accelerated = await measure(port);
  print(accelerated);
  const faster = accelerated.requestsPerSecond / tcp.requestsPerSecond;
  console.log(
    `  ${faster.toFixed(2)} times the requests, ${(accelerated.p50Ms / tcp.p50Ms).toFixed(2)} times the p50`,
  );

  console.log(`\n$ ${mda} status --pin-dir ${pinDir}`);
  console.log(new TextDecoder().decode((await status("table")).stdout));

  console.log("SIGTERM to mda:");
  const code = await stopMda();
  if (code !== 0) throw new Error(`${mda} ended with exit status ${code}`);
}

async function stopMda(): Promise<number | undefined> {
  try {
    run?.kill("SIGTERM");
  } catch {
    // It has ended by itself.
  }
  return (await run?.status)?.code;
}

function status(format: string): Promise<Deno.CommandOutput> {
  return new Deno.Command(mda, { args: ["status", "--pin-dir", pinDir, "-o", format] }).output();
}

/** Starts a program in the demo's cgroup. */
function inCgroup(command: string[], stdout: "null" | "piped"): Deno.ChildProcess {
  const enter = 'echo $$ >"$0/cgroup.procs" && exec "$@"';
  return new Deno.Command("sh", { args: ["-c", enter, cgroup, ...command], stdin: "null", stdout }).spawn();
}

async function measure(port: string): Promise<Measured> {
  const command = [
    "redis-benchmark",
    "-p",
    port,
    "-t",
    "get",
    "-c",
    `${connections}`,
    "-n",
    `${requests}`,
    "--csv",
  ];
  const measured: Measured[] = [];
  for (let round = 0; round < rounds; round++) {
    const { stdout } = await inCgroup(command, "piped").output();
    // "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms",…
    const [, row] = new TextDecoder().decode(stdout).trim().split("\n");
    const numbers = (row ?? "").split(",").map((field) => Number(field.replaceAll('"', "")));
    measured.push({ requestsPerSecond: numbers[1]!, p50Ms: numbers[4]!, p99Ms: numbers[6]! });
  }
  measured.sort((a, b) => a.requestsPerSecond - b.requestsPerSecond);
  return measured[Math.floor(rounds / 2)]!;
}

function print({ requestsPerSecond, p50Ms, p99Ms }: Measured): void {
  console.log(
    `  ${Math.round(requestsPerSecond).toLocaleString("en")} requests/s, p50 ${p50Ms} ms, p99 ${p99Ms} ms`,
  );
}

function freePort(): string {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return `${listener.addr.port}`;
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + readyMs;
  while (!await isSo().catch(() => false)) {
    if (Date.now() > deadline) throw new Error(`Cannot go on: ${what} not within ${readyMs / 1000} s`);
    await sleep(50);
  }
}

/** Ends what still runs in the cgroup, and removes it. */
async function removeCgroup(): Promise<void> {
  await until("the cgroup is empty", async () => {
    const pids = (await Deno.readTextFile(`${cgroup}/cgroup.procs`)).split("\n").filter((pid) => pid !== "");
    for (const pid of pids) Deno.kill(Number(pid), "SIGTERM");
    if (pids.length > 0) return false;
    await Deno.remove(cgroup);
    return true;
  });
}
