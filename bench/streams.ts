import { compile, runProgram } from "../tests/lab/streams/programs.ts";
import type { Place } from "../tests/lab/program.ts";
import { startServer } from "../tests/lab/servers.ts";
import { untilKnown } from "../tests/lab/known.ts";
import type { Slice, Target, Workload } from "./workload.ts";

const port = 8090;
const learnMs = 20;

interface Size {
  name: string;
  bytes: number;
  target: Target;
  quick?: boolean;
}

const sizes: readonly Size[] = [
  { name: "64 B", bytes: 64, target: { tcp: 1.3 }, quick: true },
  { name: "1 KiB", bytes: 1 << 10, target: { tcp: 1.3 } },
  { name: "4 KiB", bytes: 4 << 10, target: { tcp: 1.3 } },
  { name: "8 KiB", bytes: 8 << 10, target: { tcp: 1.3 } },
  { name: "16 KiB", bytes: 16 << 10, target: { tcp: 1.1 }, quick: true },
  { name: "64 KiB", bytes: 64 << 10, target: { tcp: 0.98 }, quick: true },
];

/** A sender and a reader that wait with epoll: what a message costs when nobody waits for an answer. */
export const streams: Workload = async (stack, variants, { sliceSeconds, quick }) => {
  for (const variant of variants.all) {
    stack.use(await startServer(variant, port, () => [compile("one_way"), "read", `${port}`]));
    if (variant.mda) await untilKnown(variant.mda, () => send(variant, sizes[0].bytes, learnMs));
  }
  return sizes.filter((size) => size.quick || !quick).map(({ name, bytes: messageBytes, target }): Slice => ({
    rows: [{ group: "one-way streams", name, unit: "MB/s", target }],
    variants: variants.dataPlanes,
    async measure(plane) {
      const { bytes, us } = await send(variants.find(plane), messageBytes, sliceSeconds * 1000);
      return { values: [bytes / us], requests: bytes / messageBytes };
    },
  }));
};

/** Sends for so long; how much has arrived, in which time. */
async function send(place: Place, messageBytes: number, ms: number): Promise<{ bytes: number; us: number }> {
  const [bytes, us] = (await runProgram(place, "one_way", "send", port, messageBytes, Math.round(ms)))
    .split(" ").map(Number);
  return { bytes, us };
}
