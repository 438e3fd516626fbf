/** Numbers of several rounds, summed up. */
export interface Summary {
  median: number;
  min: number;
  max: number;
}

export function summarize(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted.at(-1)! };
}

/** Round by round: what is measured side by side has the same disturbances. */
export function ratios(values: readonly number[], base: readonly number[]): Summary {
  return summarize(values.map((value, round) => value / base[round]));
}

/** A median, and between which numbers the median of all that could be measured lies: with 95 %, however they are spread. */
export interface Interval {
  median: number;
  low: number;
  high: number;
}

/** Of six values or more; of fewer the interval is narrower than it should be. */
export function medianInterval(values: readonly number[]): Interval {
  const sorted = values.toSorted((a, b) => a - b);
  // How many values are below the median is as how often heads come up: n / 2 on average, by sqrt(n) / 2.
  const outside = Math.max(0, Math.floor((sorted.length - 1.96 * Math.sqrt(sorted.length)) / 2));
  return {
    median: summarize(values).median,
    low: sorted[outside],
    high: sorted[sorted.length - 1 - outside],
  };
}
