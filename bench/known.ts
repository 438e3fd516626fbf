import type { Mda } from "../tests/lab/mda.ts";
import { waitFor } from "../tests/lab/wait.ts";

const timeoutMs = 30_000;

/**
 * Uses programs until mda knows them: until nothing went over TCP because a program is unknown. What is redirected then is
 * another matter. How long it takes is measured elsewhere: see learning.ts.
 */
export async function untilKnown(mda: Mda, use: () => Promise<unknown>): Promise<void> {
  await waitFor("mda to know all programs", async () => {
    const { passed, refused } = await mda.during(use);
    return !passed.unknown && !refused.unknown;
  }, { timeoutMs });
}
