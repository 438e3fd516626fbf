import { columnsOf } from "./visible.ts";

/** What is before the first line feed. */
export function firstLine(text: string): string {
  return text.split("\n", 1)[0];
}

/** Breaks text into lines of at most so many columns, at its blanks: a longer word has a line of its own. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const last = lines.at(-1);
    if (last !== undefined && columnsOf(last) + 1 + columnsOf(word) <= columns) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else lines.push(word);
  }
  return lines;
}
