import { startNginx } from "../tests/lab/servers.ts";
import { Copies } from "../tests/lab/streams/copies.ts";
import { runWrk, type WrkResult } from "../tests/lab/wrk.ts";
import { untilKnown } from "../tests/lab/known.ts";
import { type Slice, type Target, wholeSeconds, type Workload } from "./workload.ts";

const port = 8080;
const learnSeconds = 1;

interface Body {
  name: string;
  bytes: number;
  target?: Target;
}

const usualBodies: readonly Body[] = [
  { name: "100 B", bytes: 100, target: { tcp: 1 } },
  { name: "16 KiB", bytes: 16 << 10, target: { tcp: 1.1 } },
  { name: "64 KiB", bytes: 64 << 10, target: { tcp: 0.97 } },
  { name: "256 KiB", bytes: 256 << 10, target: { tcp: 0.97 } },
  { name: "1 MiB", bytes: 1 << 20, target: { tcp: 0.97 } },
];
const numbersOfConnections = [1, 4, 16];
const quickConnections = [4];

/**
 * wrk to nginx, which reads files and writes them to its sockets (sendfile off). What mda learns of a client holds for all that it
 * does: so each size has a client of its own.
 */
export const nginx: Workload = async (stack, variants, options) => {
  const { bodiesKiB, quick } = options;
  const numbers = options.connections
    ? [options.connections]
    : quick
    ? quickConnections
    : numbersOfConnections;
  const copies = stack.use(new Copies());
  const bodies = (bodiesKiB?.map(ofSize) ?? usualBodies.slice(quick ? 1 : 0)).map((body) => ({
    ...body,
    program: copies.addFile(`wrk-${body.bytes}`, "wrk"),
  }));
  const seconds = wholeSeconds(options);
  const files = Object.fromEntries(bodies.map(({ bytes }) => [`${bytes}`, "a".repeat(bytes)]));
  const url = (bytes: number) => `http://127.0.0.1:${port}/${bytes}`;
  for (const variant of variants.all) {
    stack.use(await startNginx(variant, { port }, { bodies: files, sendfile: false }));
    if (!variant.mda) continue;
    for (const { bytes, program } of bodies) {
      const use = () =>
        runWrk(variant, url(bytes), { program, connections: numbers[0], seconds: learnSeconds });
      await untilKnown(variant.mda, use);
    }
  }
  const measured = numbers.flatMap((connections) => bodies.map((body) => ({ ...body, connections })));
  return measured.map(({ name, bytes, target, program, connections }): Slice => ({
    rows: [{ group: `nginx, ${connections} conn`, name, unit: "requests/s", target }],
    variants: variants.dataPlanes,
    async measure(plane) {
      const { requestsPerSecond } = faultless(
        await runWrk(variants.find(plane), url(bytes), { program, connections, seconds }),
      );
      return { values: [requestsPerSecond], requests: requestsPerSecond * seconds };
    },
  }));
};

function ofSize(KiB: number): Body {
  return { name: `${KiB} KiB`, bytes: KiB << 10 };
}

/** @throws Error when a request failed: then the rate says nothing */
export function faultless(result: WrkResult): WrkResult {
  if (result.errors > 0) {
    throw new Error(`Cannot use what wrk has measured: ${result.errors} requests failed`);
  }
  return result;
}
