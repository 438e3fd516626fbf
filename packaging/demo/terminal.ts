/** What a terminal shows of what a program has written on it, line after line. */
import { columnsOf } from "../../src/text/visible.ts";

/** How characters look; a colour is one of the 256 of a terminal, and the terminal's own when absent. */
export interface Look {
  bold?: boolean;
  dim?: boolean;
  reverse?: boolean;
  colour?: number;
  background?: number;
}

/** Characters that look alike, one behind the other. */
export interface Run extends Look {
  /** The column it begins in, from 0. */
  column: number;
  /** How many columns it takes. */
  columns: number;
  text: string;
}

// deno-lint-ignore no-control-regex
const part = /\x1b\[([0-9;?]*)[ -/]*([@-~])|[^\x1b]+|\x1b/g;

/** Reads lines; what moves the cursor or erases is left out, since pages are only written downwards. */
export function readLines(written: string): Run[][] {
  let look: Look = {};
  const lines = written.replaceAll(/\r+\n/g, "\n").replace(/\n+$/, "").split("\n").map((line) => {
    const runs: Run[] = [];
    let column = 0;
    for (const [text, parameters, final] of line.matchAll(part)) {
      if (final === "m") look = changed(look, parameters);
      const shown = final !== undefined || text === "\x1b" ? "" : text.replaceAll("\r", "");
      if (shown === "") continue;
      const columns = columnsOf(shown);
      runs.push({ ...look, column, columns, text: shown });
      column += columns;
    }
    return runs;
  });
  const first = lines.findIndex((runs) => runs.length > 0);
  return first < 0 ? [] : lines.slice(first);
}

/** The letters of a line. */
export function textOf(line: Run[]): string {
  return line.map(({ text }) => text).join("").trimEnd();
}

/** Lines as a terminal of so many columns shows them: what does not fit goes on at the beginning of the next one. */
export function wrapLines(lines: Run[][], columns: number): Run[][] {
  return lines.flatMap((line) => {
    const wrapped: Run[][] = [[]];
    let column = 0;
    for (const { text, column: _column, columns: _columns, ...look } of line) {
      for (const character of text) {
        const wide = columnsOf(character);
        if (column + wide > columns) {
          wrapped.push([]);
          column = 0;
        }
        const row = wrapped.at(-1)!;
        const last = row.at(-1);
        if (last && isAlike(last, look)) {
          last.text += character;
          last.columns += wide;
        } else row.push({ ...look, column, columns: wide, text: character });
        column += wide;
      }
    }
    return wrapped;
  });
}

const looks = ["bold", "dim", "reverse", "colour", "background"] as const;
const isAlike = (one: Look, other: Look) => looks.every((look) => one[look] === other[look]);

/** A picture has no more lines than one looks at. Of those of a command that says more, the last ones stay: what it sums up. */
const LINES_MAX = 40;
const LAST_LINES = 20;

/** No more than 40 lines, with one that tells how many were left out; what is below a line that is left out goes with it. */
export function cutLines(lines: Run[][]): Run[][] {
  if (lines.length <= LINES_MAX) return lines;
  const isBelow = (at: number) => lines[at] !== undefined && textOf(lines[at]).startsWith(" ");
  let end = LINES_MAX - LAST_LINES - 1;
  while (end > 1 && isBelow(end)) end--;
  let begin = lines.length - LAST_LINES;
  while (begin < lines.length - 1 && isBelow(begin)) begin++;
  const text = `[${begin - end} more lines are left out of this picture]`;
  return [
    ...lines.slice(0, end),
    [{ text, column: 0, columns: text.length, dim: true }],
    ...lines.slice(begin),
  ];
}

/** A look after `ESC [ parameters m`. */
function changed(before: Look, parameters: string): Look {
  let look = before;
  const codes = parameters.split(";").map(Number);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    if (code === 0) look = {};
    else if (code === 1) look = { ...look, bold: true };
    else if (code === 2) look = { ...look, dim: true };
    else if (code === 7) look = { ...look, reverse: true };
    else if (code === 22) look = { ...look, bold: false, dim: false };
    else if (code === 27) look = { ...look, reverse: false };
    else if ((code === 38 || code === 48) && codes[i + 1] === 5) {
      look = { ...look, [code === 38 ? "colour" : "background"]: codes[i + 2] };
      i += 2;
    } else if (code >= 30 && code <= 37) look = { ...look, colour: code - 30 };
    else if (code === 39) look = { ...look, colour: undefined };
    else if (code >= 40 && code <= 47) look = { ...look, background: code - 40 };
    else if (code === 49) look = { ...look, background: undefined };
    else if (code >= 90 && code <= 97) look = { ...look, colour: code - 90 + 8 };
  }
  return look;
}
