import type { Mda } from "../tests/lab/mda.ts";

const longestMs = 30_000;

/**
 * Uses programs until mda knows them: until nothing went over TCP because a program is unknown. What is redirected then is
 * another matter. How long it takes is measured elsewhere: see learning.ts.
 */
export async function untilKnown(mda: Mda, use: () => Promise<unknown>): Promise<void> {
  for (const end = performance.now() + longestMs;;) {
    const growth = await mda.during(use);
    if (!growth.passed.unknown && !growth.refused.unknown) return;
    if (performance.now() > end) {
      throw new Error(
        `Cannot measure what mda does not know after ${longestMs} ms: ${JSON.stringify(growth)}`,
      );
    }
  }
}
