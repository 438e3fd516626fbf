import { type Counters, readCounters } from "../views/counters.ts";
import { openPinnedMap } from "../state/pins.ts";
import type { Step } from "./moment.ts";

/** An hour of steps. */
export const STEP_MS = 10_000;
const STEPS = 360;

/** The last hour, in memory: of counters only, which are read whether a page is open or not. */
export class History implements Disposable {
  readonly steps: Step[] = [];
  readonly #timer: ReturnType<typeof setInterval>;
  #before?: { counters: Counters; at: number };

  /** @param stepped is told each step */
  constructor(private readonly pinDir: string, private readonly stepped: (step: Step) => void) {
    this.#timer = setInterval(() => this.read(), STEP_MS);
    // It keeps nobody from ending.
    Deno.unrefTimer(this.#timer);
  }

  /** Reads the counters: the next step begins. */
  read(at = Date.now()): void {
    const before = this.#before;
    this.#before = undefined;
    try {
      using map = openPinnedMap(this.pinDir, "counters");
      if (!map) return;
      this.#before = { counters: readCounters(map), at };
    } catch {
      // The page says why, when somebody looks; a step without is a gap.
      return;
    }
    if (!before) return;
    const step = stepBetween(before.counters, this.#before.counters, before.at, at);
    if (!step) return;
    if (this.steps.push(step) > STEPS) this.steps.shift();
    this.stepped(step);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** Undefined when the counters, or the clock, began anew. */
export function stepBetween(before: Counters, after: Counters, from: number, to: number): Step | undefined {
  const seconds = (to - from) / 1000;
  const sum = (counts: Record<string, number>) =>
    Object.values(counts).reduce((total, count) => total + count, 0);
  const of = (count: (counters: Counters) => number) => Math.max(0, count(after) - count(before)) / seconds;
  if (seconds <= 0 || after.redirected_messages < before.redirected_messages) return undefined;
  return {
    at: to,
    redirected: of(({ redirected_messages }) => redirected_messages),
    bytes: of(({ redirected_bytes }) => redirected_bytes),
    tcp: of(({ passed }) => sum(passed)),
    entered: of(({ connections_paired, connections_adopted }) => connections_paired + connections_adopted),
    refused: of(({ refused }) => sum(refused)),
  };
}
