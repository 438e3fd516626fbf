/** Waiting with an end: a socket under test can hang for ever. */
import { setTimeout as sleep } from "node:timers/promises";

export { sleep };

/**
 * What `promise` settles to.
 *
 * @param what names what was waited for, in the error
 * @throws Error when that takes longer than `timeoutMs`
 */
export async function within<T>(timeoutMs: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`Cannot wait longer for ${what}: ${timeoutMs} ms passed`)),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Asks `condition` until it answers with something true, and returns that.
 *
 * @throws Error when it has not within `timeoutMs`
 */
export async function waitFor<T>(
  what: string,
  condition: () => T | Promise<T>,
  { timeoutMs = 10_000, everyMs = 10 } = {},
): Promise<Exclude<T, false | undefined | null | 0 | "">> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const answer = await condition();
    if (answer) return answer as Exclude<T, false | undefined | null | 0 | "">;
    if (performance.now() > end) throw new Error(`Cannot wait longer for ${what}: ${timeoutMs} ms passed`);
    await sleep(everyMs);
  }
}
