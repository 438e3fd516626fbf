import type { Shortage } from "./shortage.ts";

/** How often most things are looked at. */
export const LOOK_MS = 100;
/** How often things are that seldom change. */
export const CHECK_MS = 1000;

/**
 * Does something again and again, each time after as many milliseconds as it said the last time. What is done ten times a second is
 * done at the same times as all else that is: to wake for each takes an idle mda a tenth more.
 */
export function repeat(
  action: () => number | Promise<number>,
  shortage: Shortage,
  signal: AbortSignal,
): void {
  const run = async () => {
    if (signal.aborted) return;
    const ms = await attempt(action, shortage) ?? LOOK_MS;
    if (!signal.aborted) timer = setTimeout(run, ms < LOOK_MS ? ms : untilNextLook(ms));
  };
  let timer = setTimeout(run, 0);
  signal.addEventListener("abort", () => clearTimeout(timer));
}

/** To the one of the common times that is nearest. */
function untilNextLook(ms: number): number {
  const now = performance.now();
  return Math.max(1, Math.round((now + ms) / LOOK_MS) * LOOK_MS - now);
}

/** Returns undefined when there were no descriptors for it. */
export async function attempt<T>(action: () => T, shortage: Shortage): Promise<Awaited<T> | undefined> {
  try {
    return await action();
  } catch (error) {
    if (!shortage.caused(error)) throw error;
    return undefined;
  }
}

/** A function that does nothing from the second call on. */
export function once<A extends unknown[]>(action: (...args: A) => void): (...args: A) => void {
  let done = false;
  return (...args) => {
    if (!done) action(...args);
    done = true;
  };
}
