import { run } from "../tests/lab/program.ts";
import { startRedis } from "../tests/lab/servers.ts";
import { untilKnown } from "./known.ts";
import type { VariantName } from "./variants.ts";
import type { Row, Slice, Workload } from "./workload.ts";

const port = 6379;
const learnRequests = 50_000;
const tests = ["SET", "GET"] as const;

/** redis-benchmark to redis-server, and the same over AF_UNIX as the floor. */
export const redis: Workload = async (stack, variants, { sliceSeconds, quick }) => {
  const directory = Deno.makeTempDirSync({ prefix: "mda-bench-" });
  stack.defer(() => Deno.remove(directory, { recursive: true }));
  const socket = `${directory}/redis.sock`;
  for (const variant of variants.all) {
    stack.use(await startRedis(variant, { port }, variant.name === "tcp" ? socket : undefined));
  }

  const benchmark = async (name: VariantName, connections: number, bytes: number, requests: number) => {
    const address = name === "unix" ? ["-s", socket] : ["-h", "127.0.0.1", "-p", `${port}`];
    const load = ["-c", `${connections}`, "-d", `${bytes}`, "-n", `${requests}`, "-t", "set,get"];
    const csv = await run(variants.find(name), ["redis-benchmark", ...address, ...load, "--csv"]);
    return tests.map((test) => {
      // "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms",...
      const fields = csv.split("\n").find((line) => line.startsWith(`"${test}"`))!.replaceAll('"', "").split(
        ",",
      );
      return { requestsPerSecond: Number(fields[1]), p50Ms: Number(fields[4]) };
    });
  };

  for (const { name, mda } of variants.all) {
    if (mda) await untilKnown(mda, () => benchmark(name, 50, 3, learnRequests));
  }

  const slices: Slice[] = [];
  for (const bytes of quick ? [3] : [3, 4096]) {
    for (const connections of quick ? [50] : [1, 50, 200]) {
      const [{ requestsPerSecond }] = await benchmark(
        "tcp",
        connections,
        bytes,
        2000 * Math.min(connections, 10),
      );
      // Half of a slice is SET, half is GET.
      const requests = Math.ceil(requestsPerSecond * sliceSeconds / 2);
      // With one connection the latency is the rate's inverse.
      const withLatency = connections > 1;
      slices.push({
        rows: tests.flatMap((test) => rows(test, connections, bytes).slice(0, withLatency ? 2 : 1)),
        variants: [...variants.dataPlanes, "unix"],
        async measure(name) {
          const results = await benchmark(name, connections, bytes, requests);
          const values = results.flatMap(({ requestsPerSecond, p50Ms }) =>
            withLatency ? [requestsPerSecond, p50Ms] : [requestsPerSecond]
          );
          return { values, requests: tests.length * requests };
        },
      });
    }
  }
  return slices;
};

function rows(test: string, connections: number, bytes: number): Row[] {
  const name = `${test} ${bytes < 1024 ? `${bytes} B` : `${bytes / 1024} KiB`}, ${connections} conn`;
  const aim = connections === 50;
  return [
    { group: "redis", name, unit: "requests/s", target: aim ? { tcp: 1.3, unix: 0.9 } : { tcp: 1 } },
    { group: "redis p50", name, unit: "ms", lowerIsBetter: true, target: { tcp: aim ? 0.7 : 1 } },
  ];
}
