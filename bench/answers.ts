import { compile, runProgram } from "../tests/lab/streams/programs.ts";
import type { Place } from "../tests/lab/program.ts";
import { startServer } from "../tests/lab/servers.ts";
import { untilKnown } from "../tests/lab/known.ts";
import type { Slice, Workload } from "./workload.ts";

const port = 8096;
const learnMs = 20;
/** What the reader does with a byte: 200 MB/s. */
const psAByte = 5000;

const rows = [
  { name: "300 KB, edges", bytes: 300_000, waits: "edges" },
  { name: "1 MB, edges", bytes: 1_000_000, waits: "edges", quick: true },
  { name: "1 MB, levels", bytes: 1_000_000, waits: "levels" },
  { name: "4 MB, edges", bytes: 4_000_000, waits: "edges" },
];

/** Long answers to a reader that is slower than its sender: it is full, and its sender waits for it, now and then. */
export const answers: Workload = async (stack, variants, { sliceSeconds, quick: quickly }) => {
  for (const variant of variants.all) {
    stack.use(await startServer(variant, port, () => [compile("answers"), "serve", `${port}`]));
    if (variant.mda) await untilKnown(variant.mda, () => ask(variant, 100, "levels", learnMs));
  }
  return rows.filter(({ quick }) => quick || !quickly).map(({ name, bytes, waits }): Slice => ({
    rows: [{ group: "answers to a slow reader", name, unit: "/s", target: { tcp: 0.97 } }],
    variants: variants.dataPlanes,
    async measure(plane) {
      const { count, us } = await ask(variants.find(plane), bytes, waits, sliceSeconds * 1000);
      return { values: [count / us * 1e6], requests: count };
    },
  }));
};

/** Asks for answers for so long; how many came, in which time. */
async function ask(
  place: Place,
  bytes: number,
  waits: string,
  ms: number,
): Promise<{ count: number; us: number }> {
  const printed = await runProgram(place, "answers", "ask", port, bytes, psAByte, waits, Math.round(ms));
  const [count, us] = printed.split(" ").map(Number);
  return { count, us };
}
