import { ratios, summarize, type Summary } from "./statistics.ts";
import type { VariantName } from "./variants.ts";
import type { Row } from "./workload.ts";

/** A row with what every round has measured. */
export interface Measured {
  row: Row;
  /** By variant; one number a round. */
  values: Partial<Record<VariantName, number[]>>;
}

/** Whether a target is met. "sometimes": the median misses it, but not every round does. */
export type Verdict = "met" | "sometimes" | "missed";

/** mda against another variant. */
export interface Comparison extends Summary {
  against: VariantName;
  /** What the median must reach, if anything. */
  target?: number;
  verdict: Verdict;
}

/** A row as it is printed. */
export interface Result {
  group: string;
  name: string;
  unit: string;
  lowerIsBetter: boolean;
  medians: Partial<Record<VariantName, number>>;
  comparisons: Comparison[];
  values: Measured["values"];
}

/** A number of mda's own, that may have an upper limit. */
export interface Limit {
  name: string;
  unit: string;
  measured: number;
  limit?: number;
  verdict: Verdict;
}

/** @param limit what the median of `values` may be at most, if anything */
export function limit(
  name: string,
  unit: string,
  limit: number | undefined,
  values: readonly number[],
): Limit {
  const { median, min, max } = summarize(values);
  return { name, unit, measured: median, limit, verdict: judge({ median, min, max }, limit, true) };
}

/** Medians, and the ratios of mda to the others with their targets. A row with a target has one of the textbook too. */
export function evaluate({ row, values }: Measured): Result {
  const { group, name, unit, lowerIsBetter = false } = row;
  const target: Partial<Record<VariantName, number>> = row.target ? { textbook: 1, ...row.target } : {};
  const others = (["tcp", "textbook", "before", "unix"] as const).filter((other) => values[other]);
  const medians = Object.fromEntries(
    Object.entries(values).map(([variant, numbers]) => [variant, summarize(numbers).median]),
  );
  const comparisons = others.map((against): Comparison => {
    const ratio = ratios(values.mda!, values[against]!);
    return {
      against,
      ...ratio,
      target: target[against],
      verdict: judge(ratio, target[against], lowerIsBetter),
    };
  });
  return { group, name, unit, lowerIsBetter, medians, comparisons, values };
}

function judge({ median, min, max }: Summary, target: number | undefined, lowerIsBetter: boolean): Verdict {
  if (target === undefined) return "met";
  const meets = (ratio: number) => lowerIsBetter ? ratio <= target : ratio >= target;
  if (meets(median)) return "met";
  return meets(lowerIsBetter ? min : max) ? "sometimes" : "missed";
}
