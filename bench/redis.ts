import { dataPlanes, type VariantName } from "./variants.ts";
import type { Row, Slice, Workload } from "./workload.ts";

const PORT = 6379;

/** redis-benchmark to redis-server, and the same over AF_UNIX as the floor. */
export const redis: Workload = async (lab, variants, { sliceSeconds, quick }) => {
  const socket = `${lab.directory}/redis.sock`;
  for (const variant of variants) {
    const unix = variant.name === "tcp" ? ["--unixsocket", socket] : [];
    const command = ["redis-server", "--port", `${PORT}`, "--bind", "127.0.0.1", "--save", "", ...unix];
    await lab.serve(variant, [...command, "--dir", variant.directory], PORT);
  }

  const benchmark = async (name: VariantName, connections: number, bytes: number, requests: number) => {
    const place = variants.find((variant) => variant.name === (name === "unix" ? "tcp" : name))!;
    const address = name === "unix" ? ["-s", socket] : ["-h", "127.0.0.1", "-p", `${PORT}`];
    const size = ["-c", `${connections}`, "-d", `${bytes}`, "-n", `${requests}`];
    const command = ["redis-benchmark", ...address, ...size, "-t", "set,get", "--csv"];
    const { stdout } = await lab.run(place, command);
    return ["SET", "GET"].map((test) => {
      const line = stdout.split("\n").find((line) => line.startsWith(`"${test}"`));
      if (!line) throw new Error(`Cannot read what redis-benchmark printed:\n${stdout}`);
      const fields = line.split(",").map((field) => Number(field.replaceAll('"', "")));
      return { requestsPerSecond: fields[1], p50Ms: fields[4] };
    });
  };

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
      slices.push({
        rows: ["SET", "GET"].flatMap((test) => rows(test, connections, bytes)),
        variants: [...dataPlanes, "unix"],
        async measure(name) {
          const tests = await benchmark(name, connections, bytes, requests);
          return tests.flatMap(({ requestsPerSecond, p50Ms }) => [requestsPerSecond, p50Ms]);
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
    {
      group: "redis p50",
      name,
      unit: "ms",
      lowerIsBetter: true,
      target: aim ? { tcp: 0.7 } : { tcp: 1 },
    },
  ];
}
