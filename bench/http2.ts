import { run } from "../tests/lab/program.ts";
import { startNginx } from "../tests/lab/servers.ts";
import { untilKnown } from "../tests/lab/known.ts";
import type { VariantName } from "./variants.ts";
import type { Slice, Workload } from "./workload.ts";

const port = 8083;
/** On one connection, at a time. */
const streams = 16;
const learnMs = 1000;
const numbersOfConnections = [1, 4];
const bodies = { "100 B": 100, "16 KiB": 16 << 10 };

/** h2load to nginx without TLS: many requests at a time on few connections. */
export const http2: Workload = async (stack, variants, { sliceSeconds }) => {
  const files = Object.fromEntries(Object.values(bodies).map((bytes) => [`${bytes}`, "a".repeat(bytes)]));
  const load = async (name: VariantName, connections: number, bytes: number, ms: number) => {
    const url = `http://127.0.0.1:${port}/${bytes}`;
    const argv = ["h2load", "-c", `${connections}`, "-m", `${streams}`, "-D", `${ms}ms`, url];
    return parse(await run(variants.find(name), argv));
  };
  for (const variant of variants.all) {
    stack.use(await startNginx(variant, { port }, { bodies: files, sendfile: false, listen: "http2" }));
    if (variant.mda) await untilKnown(variant.mda, () => load(variant.name, 1, bodies["100 B"], learnMs));
  }
  return numbersOfConnections.flatMap((connections) =>
    Object.entries(bodies).map(([name, bytes]): Slice => ({
      rows: [{
        group: `HTTP/2, ${streams} streams a connection`,
        name: `${name}, ${connections} conn`,
        unit: "requests/s",
        target: { tcp: 1 },
      }],
      variants: variants.dataPlanes,
      async measure(plane) {
        const requestsPerSecond = await load(plane, connections, bytes, sliceSeconds * 1000);
        return { values: [requestsPerSecond], requests: requestsPerSecond * sliceSeconds };
      },
    }))
  );
};

/** @throws Error when a request failed: then the rate says nothing */
function parse(text: string): number {
  const rate = /^finished in .*, ([0-9.]+) req\/s/m.exec(text);
  if (!rate || !/^requests: .* 0 failed, 0 errored, 0 timeout$/m.test(text)) {
    throw new Error(`Cannot use what h2load has measured:\n${text}`);
  }
  return Number(rate[1]);
}
