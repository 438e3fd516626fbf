import { requestsIn, startRedisServers } from "./redis_load.ts";
import type { Row, Slice, Workload } from "./workload.ts";

const port = 6379;
const tests = ["SET", "GET"];

/** One way to load redis. */
interface Case {
  bytes: number;
  connections: number;
  pipelined?: number;
}

const quickCases: readonly Case[] = [{ bytes: 3, connections: 50 }];
const cases: readonly Case[] = [
  ...[3, 4096].flatMap((bytes) => [1, 50, 200].map((connections) => ({ bytes, connections }))),
  { bytes: 3, connections: 50, pipelined: 16 },
];

/** redis-benchmark to redis-server, and the same over AF_UNIX as the floor. */
export const redis: Workload = async (stack, variants, { sliceSeconds, quick }) => {
  const load = await startRedisServers(stack, variants, port);
  const slices: Slice[] = [];
  for (const one of quick ? quickCases : cases) {
    const requests = await requestsIn(load, sliceSeconds, { ...one, tests });
    // With one connection the latency is the rate's inverse.
    const withLatency = one.connections > 1;
    slices.push({
      name: nameOf(one),
      rows: tests.flatMap((test) => rows(test, one).slice(0, withLatency ? 2 : 1)),
      variants: [...variants.dataPlanes, "unix"],
      async measure(name) {
        const results = await load(name, { ...one, tests, requests });
        const values = results.flatMap(({ requestsPerSecond, p50Ms }) =>
          withLatency ? [requestsPerSecond, p50Ms] : [requestsPerSecond]
        );
        return { values, requests: tests.length * requests };
      },
    });
  }
  return slices;
};

function nameOf({ bytes, connections, pipelined }: Case): string {
  const size = bytes < 1024 ? `${bytes} B` : `${bytes / 1024} KiB`;
  return `${size}, ${pipelined ? "pipelined" : `${connections} conn`}`;
}

function rows(test: string, one: Case): Row[] {
  const name = `${test} ${nameOf(one)}`;
  const aim = one.connections === 50 && !one.pipelined;
  const rate = { ...aim ? { tcp: 1.3, unix: 0.9 } : { tcp: 1 }, textbook: 0.98 };
  const p50 = { tcp: aim ? 0.7 : 1, textbook: 1 / rate.textbook };
  return [
    { group: "redis", name, unit: "requests/s", target: rate },
    { group: "redis p50", name, unit: "ms", lowerIsBetter: true, target: p50 },
  ];
}
