import type { Mda } from "./mda.ts";

const longestMs = 30_000;

/**
 * Uses programs until mda knows them: until nothing went over TCP because a program is unknown. What is redirected then is
 * another matter. How long it takes is for the machine to say, and is measured in bench/learning.ts.
 */
export async function untilKnown(mda: Pick<Mda, "during">, use: () => unknown): Promise<void> {
  for (const end = performance.now() + longestMs;;) {
    const growth = await mda.during(use);
    if (!growth.passed.unknown && !growth.refused.unknown) return;
    if (performance.now() > end) {
      throw new Error(
        `Cannot go on: mda does not know a program after ${longestMs} ms: ${JSON.stringify(growth)}`,
      );
    }
  }
}
