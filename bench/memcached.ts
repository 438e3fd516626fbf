import { startMemcached, startMemcachedOn } from "../tests/lab/servers.ts";
import { runProgram } from "../tests/lab/streams/programs.ts";
import { untilKnown } from "../tests/lab/known.ts";
import type { VariantName } from "./variants.ts";
import type { Slice, Workload } from "./workload.ts";

const port = 11211;
const learnMs = 500;
const bytes = 100;

/** An event-driven client that gets values (tests/lab/streams/gets.c) from memcached with two threads; also over AF_UNIX. */
export const memcached: Workload = async (stack, variants, { sliceSeconds }) => {
  const directory = Deno.makeTempDirSync({ prefix: "mda-bench-" });
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  // It becomes nobody before it listens.
  Deno.chmodSync(directory, 0o777);
  const socket = `${directory}/memcached.sock`;
  stack.use(await startMemcachedOn(variants.find("unix"), socket));
  const load = async (name: VariantName, connections: number, ms: number) => {
    const address = name === "unix" ? socket : port;
    const text = await runProgram(
      variants.find(name),
      "gets",
      address,
      connections,
      bytes,
      Math.round(ms),
    );
    const [values, us] = text.split(" ").map(Number);
    return { requestsPerSecond: values / us * 1e6, requests: values };
  };
  for (const variant of variants.all) {
    stack.use(await startMemcached(variant, { port }));
    if (variant.mda) await untilKnown(variant.mda, () => load(variant.name, 1, learnMs));
  }
  return [1, 50].map((connections): Slice => ({
    rows: [{
      group: "memcached",
      name: `get ${bytes} B, ${connections} conn`,
      unit: "requests/s",
      target: { tcp: 1 },
    }],
    variants: [...variants.dataPlanes, "unix"],
    async measure(name) {
      const { requestsPerSecond, requests } = await load(name, connections, sliceSeconds * 1000);
      return { values: [requestsPerSecond], requests };
    },
  }));
};
