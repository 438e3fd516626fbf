const EDITS_MAX = 2;

/**
 * The candidate that `word` most likely means: at most two letters added, left out, replaced or swapped, in any case,
 * and more of it right than wrong.
 */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  let nearest: string | undefined;
  let fewest = EDITS_MAX + 1;
  for (const candidate of candidates) {
    // Fewer edits than this are not possible, and a long word is not worth the table.
    if (Math.abs(word.length - candidate.length) > EDITS_MAX) continue;
    const edits = countEdits(word.toLowerCase(), candidate.toLowerCase());
    if (edits < fewest && edits * 2 <= candidate.length) {
      nearest = candidate;
      fewest = edits;
    }
  }
  return nearest;
}

/** Optimal string alignment distance. */
function countEdits(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j], beforeLast[j - 2] + 1);
      }
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length];
}
