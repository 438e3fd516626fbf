import { fileURLToPath } from "node:url";
import { BpfMap } from "../src/bpf/map.ts";
import { mapNames } from "../src/plane/pins.ts";
import { type Lab, type Place, sleep, spawn, tryKill } from "./lab.ts";
import type { RunningMda } from "./mda.ts";
import type { Limit } from "./results.ts";
import { summarize } from "./statistics.ts";
import type { Variant } from "./variants.ts";

const CONNECTIONS = 10_000;
/** Processes that hold them: a process often may have no more than 20,000 files open. */
const HOLDERS = 2;
const TIMES = 3;
const OPEN_MS = 30_000;
/** Sockets and maps are freed after an RCU grace period, in the background. */
const SETTLE_MS = 700;
const MB = 1e6;
const program = fileURLToPath(new URL("hold_connections.ts", import.meta.url));

/** What connections cost the kernel beyond what they cost on plain TCP, with what mda's maps have without any. */
export async function measureKernelMemory(
  lab: Lab,
  variants: readonly Variant[],
  mda: RunningMda,
): Promise<Limit[]> {
  const bytes: Record<string, number[]> = { tcp: [], mda: [] };
  const compared = variants.filter(({ name }) => name in bytes);
  for (const { name } of compared) {
    const namespace = await lab.makeNamespace(`${name}-hold`);
    // Without TIME_WAIT, the sockets of one time would be freed during the next.
    await lab.ip("netns", "exec", namespace, "sysctl", "-q", "net.ipv4.tcp_max_tw_buckets=0");
  }
  const atRest = mapBytes(mda.pinDir);
  const before = await mda.status();
  for (let time = 0; time < TIMES; time++) {
    for (const { name, cgroup } of compared) {
      bytes[name].push(await bytesOfConnections(lab, { cgroup, namespace: `${lab.name}-${name}-hold` }));
    }
  }
  const paired = (await mda.status()).connections.paired - before.connections.paired;
  if (paired !== TIMES * CONNECTIONS) {
    throw new Error(
      `Cannot use mda's kernel memory: it paired ${paired} of ${TIMES * CONNECTIONS} connections`,
    );
  }
  const own = bytes.mda.map((value, time) => (atRest + value - bytes.tcp[time]) / MB);
  return [{
    name: `kernel memory of ${CONNECTIONS.toLocaleString("en")} connections`,
    unit: "MB",
    limit: 40,
    measured: summarize(own).median,
  }];
}

async function bytesOfConnections(lab: Lab, place: Place): Promise<number> {
  await sleep(SETTLE_MS);
  const before = kernelBytes();
  await using holders = new AsyncDisposableStack();
  for (let i = 0; i < HOLDERS; i++) holders.defer(await holdConnections(lab, place, CONNECTIONS / HOLDERS));
  await sleep(SETTLE_MS);
  return kernelBytes() - before;
}

/** Opens connections in a process of their own; returns what closes them. */
async function holdConnections(lab: Lab, place: Place, count: number): Promise<() => Promise<void>> {
  const command = [Deno.execPath(), "run", "--quiet", "--allow-all", program, `${count}`];
  const child = spawn(place, command, "piped", "piped");
  const kill = () => tryKill(child, "SIGKILL");
  const timer = setTimeout(kill, OPEN_MS);
  lab.interrupted.addEventListener("abort", kill);
  const close = async () => {
    clearTimeout(timer);
    lab.interrupted.removeEventListener("abort", kill);
    kill();
    await child.status;
  };
  const { value } = await child.stdout.getReader().read();
  if (!lab.interrupted.aborted && value && new TextDecoder().decode(value) === "open\n") return close;
  await close();
  lab.interrupted.throwIfAborted();
  throw new Error(`Cannot open ${count} connections: ${await new Response(child.stderr).text()}`);
}

/** What the kernel has allocated for itself. SReclaimable is left out: it is the caches of files and directories. */
function kernelBytes(): number {
  const text = Deno.readTextFileSync("/proc/meminfo");
  return ["SUnreclaim", "Percpu", "VmallocUsed"].reduce((sum, name) => {
    return sum + Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text)![1]) * 1024;
  }, 0);
}

/** What the kernel says that the pinned maps take. */
function mapBytes(pinDir: string): number {
  return mapNames.reduce((sum, name) => {
    using map = BpfMap.openPinned(`${pinDir}/${name}`);
    const memlock = map && /^memlock:\s+(\d+)$/m.exec(Deno.readTextFileSync(`/proc/self/fdinfo/${map.fd}`));
    return sum + Number(memlock?.[1] ?? 0);
  }, 0);
}
