import { createCgroup } from "../tests/lab/cgroup.ts";
import { createNetns } from "../tests/lab/netns.ts";
import { startNginx } from "../tests/lab/servers.ts";
import { runWrk } from "../tests/lab/wrk.ts";
import { rotated } from "./measure.ts";
import { faultless } from "./nginx.ts";
import type { Measured } from "./results.ts";
import { group, target } from "./short.ts";
import { type DataPlaneName, startMda, type Variant } from "./variants.ts";
import type { Options } from "./workload.ts";

const port = 8082;
const connections = 4;
const seconds = 1;
const firstMs = 10_000;

/**
 * What a connection for each request costs with an mda that has just been started, and knows none of the programs: in turns
 * with plain TCP, by the second, for so long after its start. Each round starts another one.
 */
export async function measureFirstMinute(
  { rounds, before }: Options,
  interrupted: AbortSignal,
): Promise<Measured[]> {
  await using stack = new AsyncDisposableStack();
  const names: DataPlaneName[] = before ? ["tcp", "mda", "before"] : ["tcp", "mda"];
  const variants: Variant[] = [];
  for (const name of names) {
    const cgroup = stack.use(createCgroup(`bench-first-${name}`));
    const netns = stack.use(await createNetns(`bench-first-${name}`));
    const variant = { name, cgroup, netns };
    stack.use(await startNginx(variant, { port }, { bodies: { body: "a".repeat(100) } }));
    variants.push(variant);
  }
  const row = { group, name: `nginx, first ${firstMs / 1000} s`, unit: "requests/s", target };
  const measured: Measured = { row, values: Object.fromEntries(names.map((name) => [name, []])) };
  for (let round = 0; round < rounds; round++) {
    console.error(`bench: after a start, round ${round + 1} of ${rounds}`);
    await using started = new AsyncDisposableStack();
    for (const variant of variants) {
      if (variant.name === "mda") await startMda(started, variant);
      if (variant.name === "before") await startMda(started, variant, before);
    }
    const end = performance.now() + firstMs;
    for (let turn = round; performance.now() < end; turn++) {
      for (const variant of rotated(variants, turn)) {
        interrupted.throwIfAborted();
        const url = `http://127.0.0.1:${port}/body`;
        const { requestsPerSecond } = faultless(
          await runWrk(variant, url, { connections, seconds, close: true }),
        );
        measured.values[variant.name]!.push(requestsPerSecond);
      }
    }
  }
  return [measured];
}
