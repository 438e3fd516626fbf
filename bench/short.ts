import { Mesh } from "../tests/lab/mesh.ts";
import { startNginx } from "../tests/lab/servers.ts";
import { runWrk } from "../tests/lab/wrk.ts";
import { untilKnown } from "../tests/lab/known.ts";
import { faultless } from "./nginx.ts";
import { requestsIn, startRedisServers } from "./redis_load.ts";
import type { VariantName, Variants } from "./variants.ts";
import { type Options, type Slice, type Target, wholeSeconds, type Workload } from "./workload.ts";

export const group = "a connection a request";
export const target: Target = { tcp: 0.97 };
const unit = "requests/s";

const redisPort = 6381;
const nginxPort = 8081;
const meshConnections = 32;
const learnSeconds = 1;
/** More than the usual 28,000: each connection keeps its port for a while after its end. */
const ports = "10000 65535";

/** Clients that open a connection for each request. What mda cannot know yet is measured elsewhere: see first_minute.ts. */
export const short: Workload = async (stack, variants, options) => {
  for (const { netns } of variants.all) await netns.sysctl("net.ipv4.ip_local_port_range", ports);
  const slices = await nginxSlices(stack, variants, options);
  if (!options.quick) {
    slices.push(await redisSlice(stack, variants, options));
    slices.push(await meshSlice(stack, variants, options, "mesh lab", {}));
    slices.push(await meshSlice(stack, variants, options, "mesh lab, all hops", { close: true }));
  }
  return slices;
};

async function nginxSlices(
  stack: AsyncDisposableStack,
  variants: Variants,
  options: Options,
): Promise<Slice[]> {
  const seconds = wholeSeconds(options);
  const url = `http://127.0.0.1:${nginxPort}/body`;
  for (const variant of variants.all) {
    stack.use(await startNginx(variant, { port: nginxPort }, { bodies: { body: "a".repeat(100) } }));
    const use = () => runWrk(variant, url, { connections: 4, seconds: learnSeconds });
    if (variant.mda) await untilKnown(variant.mda, use);
  }
  return (options.quick ? [4] : [4, 32]).map((connections): Slice => ({
    rows: [{ group, name: `nginx, ${connections} clients`, unit, target }],
    variants: variants.dataPlanes,
    async measure(plane) {
      const wrk = { connections, seconds, close: true };
      const { requestsPerSecond } = faultless(await runWrk(variants.find(plane), url, wrk));
      return { values: [requestsPerSecond], requests: requestsPerSecond * seconds };
    },
  }));
}

async function redisSlice(
  stack: AsyncDisposableStack,
  variants: Variants,
  { sliceSeconds }: Options,
): Promise<Slice> {
  const load = { connections: 50, tests: ["GET"], close: true };
  const loadRedis = await startRedisServers(stack, variants, redisPort);
  const requests = await requestsIn(loadRedis, sliceSeconds, load);
  return {
    rows: [{ group, name: `redis, ${load.connections} clients`, unit, target }],
    variants: variants.dataPlanes,
    async measure(plane) {
      const [{ requestsPerSecond }] = await loadRedis(plane, { ...load, requests });
      return { values: [requestsPerSecond], requests };
    },
  };
}

/** @param sidecars whether the sidecars too open a connection for each request */
async function meshSlice(
  stack: AsyncDisposableStack,
  variants: Variants,
  options: Options,
  name: string,
  sidecars: { close?: boolean },
): Promise<Slice> {
  const seconds = wholeSeconds(options);
  const connections = meshConnections;
  const labs = new Map<VariantName, Mesh>();
  for (const { name, cgroup, mda } of variants.all) {
    const lab = stack.use(await Mesh.create({ cgroup }));
    for (const pod of lab.pods) await pod.sysctl("net.ipv4.ip_local_port_range", ports);
    await lab.startSidecars(sidecars);
    if (mda) await untilKnown(mda, () => lab.load({ connections, seconds: learnSeconds }));
    labs.set(name, lab);
  }
  return {
    rows: [{ group, name, unit, target: { tcp: 1 } }],
    variants: variants.dataPlanes,
    async measure(plane) {
      const { requestsPerSecond } = faultless(
        await labs.get(plane)!.load({ connections, seconds, close: true }),
      );
      return { values: [requestsPerSecond], requests: requestsPerSecond * seconds };
    },
  };
}
