import { compile, runProgram } from "../tests/lab/streams/programs.ts";
import type { Place } from "../tests/lab/program.ts";
import { startServer } from "../tests/lab/servers.ts";
import { untilKnown } from "./known.ts";
import type { Slice, Workload } from "./workload.ts";

const port = 8090;
const learnMs = 20;
const sizes = { "64 B": 64, "1 KiB": 1 << 10, "8 KiB": 8 << 10, "16 KiB": 16 << 10, "64 KiB": 64 << 10 };
const quickSizes = ["64 B", "8 KiB", "64 KiB"];

/** A sender and a reader that wait with epoll: what a message costs when nobody waits for an answer. */
export const streams: Workload = async (stack, variants, { sliceSeconds, quick }) => {
  for (const variant of variants.all) {
    stack.use(await startServer(variant, port, () => [compile("one_way"), "read", `${port}`]));
    if (variant.mda) await untilKnown(variant.mda, () => send(variant, sizes["64 B"], learnMs));
  }
  return Object.entries(sizes).filter(([name]) => !quick || quickSizes.includes(name))
    .map(([name, messageBytes]): Slice => ({
      rows: [{ group: "one-way streams", name, unit: "MB/s", target: { tcp: 1 } }],
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
