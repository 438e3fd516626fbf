import { BpfMap } from "../src/libbpf/map.ts";
import { mapNames } from "../src/state/pins.ts";
import type { Mda } from "../tests/lab/mda.ts";
import { createNetns, type NetworkNamespace } from "../tests/lab/netns.ts";
import type { Place } from "../tests/lab/program.ts";
import { sleep } from "../tests/lab/wait.ts";
import { holdConnections } from "./held_connections.ts";
import { untilKnown } from "../tests/lab/known.ts";
import { type Limit, limit } from "./results.ts";
import type { Variants } from "./variants.ts";
import type { Options } from "./workload.ts";

const connections = 10_000;
/** Enough to know by them how their program receives. */
const few = 100;
/** So that mda finds it there when it looks into its code. */
const lookMs = 5000;
/** Sockets and map elements are freed after an RCU grace period, in the background. */
const settleMs = 700;
const MB = 1e6;

/** What connections cost the kernel beyond what they cost it on plain TCP, and what mda's maps take without any. */
export async function measureKernelMemory({ find, mda }: Variants, { quick }: Options): Promise<Limit[]> {
  const times = quick ? 1 : 5;
  await using stack = new AsyncDisposableStack();
  const placeOf = async (name: "tcp" | "mda") => {
    const netns: NetworkNamespace = stack.use(await createNetns(`bench-${name}-hold`));
    // In TIME_WAIT, the connections of one time would be freed during the next.
    await netns.sysctl("net.ipv4.tcp_max_tw_buckets", 0);
    return { cgroup: find(name).cgroup, netns };
  };
  const tcp = await placeOf("tcp"), accelerated = await placeOf("mda");
  const atRest = mapBytes(mda);
  await untilKnown(mda, async () => {
    await using _held = await holdConnections(accelerated, few);
    await sleep(lookMs);
  });
  const ownMB: number[] = [];
  const { paired } = await mda.during(async () => {
    for (let time = 0; time < times; time++) {
      const plain = await bytesOfConnections(tcp);
      ownMB.push((atRest + await bytesOfConnections(accelerated) - plain) / MB);
    }
  });
  if (paired !== times * connections) {
    throw new Error(
      `Cannot use mda's kernel memory: it paired ${paired} of ${times * connections} connections`,
    );
  }
  return [
    limit("kernel memory of mda at rest", "MB", undefined, [atRest / MB]),
    limit(`kernel memory of mda with ${connections.toLocaleString("en")} connections`, "MB", 40, ownMB),
  ];
}

async function bytesOfConnections(place: Place): Promise<number> {
  await sleep(settleMs);
  const before = kernelBytes();
  await using _held = await holdConnections(place, connections);
  await sleep(settleMs);
  return kernelBytes() - before;
}

/** What the kernel has allocated for itself. SReclaimable is left out: it is the caches of files and directories. */
function kernelBytes(): number {
  const text = Deno.readTextFileSync("/proc/meminfo");
  return ["SUnreclaim", "Percpu", "VmallocUsed"].reduce((sum, name) => {
    return sum + Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text)![1]) * 1024;
  }, 0);
}

/** What the kernel says that the pinned maps take. */
function mapBytes({ pinDir }: Mda): number {
  return mapNames.reduce((sum, name) => {
    using map = BpfMap.openPinned(`${pinDir}/${name}`)!;
    const [, memlock] = /^memlock:\s+(\d+)$/m.exec(Deno.readTextFileSync(`/proc/self/fdinfo/${map.fd}`))!;
    return sum + Number(memlock);
  }, 0);
}
