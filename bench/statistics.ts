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
