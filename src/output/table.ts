import { columnsOf } from "../text/visible.ts";

/** A column of a table for people. */
export interface Column<Row> {
  title: string;
  value(row: Row): string;
  /** Numbers are set to the right. */
  right?: boolean;
  /** Columns with larger numbers go first when there is no room for all. */
  rank: number;
  /** It may be cut to so many characters when there is no room for all of it. */
  least?: number;
}

const GAP = 2;

/** Most cells are plain. */
const widthOf = (text: string) => /^[ -~]*$/.test(text) ? text.length : columnsOf(text);

/**
 * Lines of a table that is no wider than `width`: columns go, and are cut, until it fits. Without a width it has all of all columns.
 */
export function tableLines<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width?: number,
): string[] {
  let shown = columns.map((column) => {
    const cells = [column.title, ...rows.map((row) => column.value(row))];
    const widths = cells.map(widthOf);
    return { ...column, cells, widths, wide: widths.reduce((most, width) => Math.max(most, width), 0) };
  });
  const total = () => shown.reduce((sum, { wide }) => sum + wide + GAP, -GAP);
  if (width !== undefined) {
    const narrowest = () =>
      shown.reduce((sum, { wide, least }) => sum + Math.min(wide, least ?? wide) + GAP, -GAP);
    while (shown.length > 1 && narrowest() > width) {
      const last = Math.max(...shown.map(({ rank }) => rank));
      shown = shown.filter(({ rank }) => rank < last);
    }
    // Of those that may be cut the widest first.
    for (let over = total() - width; over > 0; over--) {
      const able = shown.filter(({ wide, least }) => least !== undefined && wide > least);
      if (able.length === 0) break;
      able.reduce((one, other) => other.wide > one.wide ? other : one).wide--;
    }
  }
  const gap = " ".repeat(GAP);
  return [0, ...rows.keys().map((row) => row + 1)].map((row) =>
    shown.map(({ cells, widths, wide, right }) => fill(cells[row], widths[row], wide, right)).join(gap)
      .trimEnd()
  );
}

/** A text of exactly that width: cut with an ellipsis, or filled up. */
export function fit(text: string, width: number, right = false): string {
  return fill(text, widthOf(text), width, right);
}

/** @param own how wide the text is: lists are thousands of lines, and this is known by then */
function fill(text: string, own: number, width: number, right = false): string {
  if (own > width) {
    const characters = [...text];
    while (characters.length > 0 && widthOf(characters.join("")) > width - 1) characters.pop();
    text = `${characters.join("")}…`;
    own = widthOf(text);
  }
  const blanks = " ".repeat(Math.max(0, width - own));
  return right ? blanks + text : text + blanks;
}

/** How wide the terminal is that standard output is; undefined when it is none. */
export function terminalWidth(): number | undefined {
  if (!Deno.stdout.isTerminal()) return undefined;
  try {
    return Deno.consoleSize().columns;
  } catch {
    return undefined;
  }
}
