import { columnsOf } from "../../text/visible.ts";

/** What a part of a line means; how that looks is the palette's affair. */
export type Style =
  | "title"
  | "good"
  | "warning"
  | "muted"
  | "group"
  | "header"
  | "selected"
  | "key";

export interface Span {
  text: string;
  style?: Style;
}

/** A line of the screen. */
export type Line = Span[];

/** The letters of a line. */
export function textOf(line: Line): string {
  return line.map(({ text }) => text).join("").trimEnd();
}

/** A line that is no wider than the screen. */
export function cutLine(line: Line, width: number): Line {
  const cut: Line = [];
  let rest = width;
  for (const { text, style } of line) {
    const part = beginning(text, rest);
    rest -= widthOf(part);
    cut.push({ text: part, style });
    if (part !== text) break;
  }
  return cut;
}

function beginning(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let fitting = "", columns = 0;
  for (const character of text) {
    columns += widthOf(character);
    if (columns > width) break;
    fitting += character;
  }
  return fitting;
}

const widthOf = (text: string) => /^[ -~]*$/.test(text) ? text.length : columnsOf(text);

/** What a terminal is sent to begin a style. */
export type Palette = Record<Style, string>;

/**
 * Colours that all of the colour-blind can tell apart, after Okabe and Ito: blue and orange, never red against green. Each
 * only repeats what a word or a place says.
 */
const palettes: Record<"256" | "16" | "none", Palette> = {
  "256": {
    title: "\x1b[1m",
    good: "\x1b[1;38;5;74m",
    warning: "\x1b[38;5;214m",
    muted: "\x1b[38;5;245m",
    group: "\x1b[1m",
    header: "\x1b[38;5;16;48;5;74m",
    selected: "\x1b[7m",
    key: "\x1b[38;5;16;48;5;74m",
  },
  "16": {
    title: "\x1b[1m",
    good: "\x1b[1;36m",
    warning: "\x1b[33m",
    muted: "\x1b[2m",
    group: "\x1b[1m",
    header: "\x1b[30;46m",
    selected: "\x1b[7m",
    key: "\x1b[30;46m",
  },
  none: {
    title: "\x1b[1m",
    good: "",
    warning: "",
    muted: "",
    group: "\x1b[1m",
    header: "\x1b[7m",
    selected: "\x1b[7m",
    key: "\x1b[7m",
  },
};

/** The colours that a terminal has and its user wants (https://no-color.org): without, what is left is bold and reverse. */
export function paletteFor(environment: Record<string, string | undefined>): Palette {
  const { TERM = "", COLORTERM, NO_COLOR } = environment;
  if (NO_COLOR) return palettes.none;
  return palettes[COLORTERM || /256|direct|kitty|alacritty/.test(TERM) ? "256" : "16"];
}

/** A line as it is sent to a terminal. */
export function render(line: Line, palette: Palette): string {
  return line.map(({ text, style }) => {
    const begin = style ? palette[style] : "";
    return begin && text ? `${begin}${text}\x1b[0m` : text;
  }).join("");
}

/** What makes a screen that shows `before` show `after`: the lines that differ. Without `before` all of it. */
export function difference(before: string[] | undefined, after: string[]): string {
  const written = after.flatMap((line, row) =>
    // Erased first: a line that fills the screen leaves the cursor on its last character.
    line === before?.[row] ? [] : [`\x1b[${row + 1};1H\x1b[0m\x1b[K${line}`]
  );
  return `${before ? "" : "\x1b[0m\x1b[H\x1b[2J"}${written.join("")}`;
}
