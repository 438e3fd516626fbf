/** Draws lines of a terminal as SVG: nothing in it is fetched from elsewhere, and every browser has a font for it. */
import { columnsOf } from "../../src/text/visible.ts";
import type { Run } from "./terminal.ts";

const SIZE = 13;
/** Most fonts of equal widths are 0.6 of their height wide; those that are not are stretched to it. */
const CELL = 7.8;
const LINE = 18;
const BASELINE = 13;
const PADDING = 16;
const FONTS =
  "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace";

// Dark, so that colours that are made for terminals can be read, on light pages and on dark ones.
const BACKGROUND = "#0d1117";
const FOREGROUND = "#e6edf3";
const BORDER = "#30363d";

/** The first 16 of a terminal's colours: normal ones, then bright ones. */
const base = (
  "#484f58 #ff7b72 #3fb950 #d29922 #58a6ff #bc8cff #39c5cf #b1bac4 " +
  "#6e7681 #ffa198 #56d364 #e3b341 #79c0ff #d2a8ff #56d4dd #f0f6fc"
).split(" ");

/** One of a terminal's 256 colours: 16 that it chooses, a cube of 6 shades each of red, green and blue, and 24 greys. */
export function hex(colour: number): string {
  if (colour < 16) return base[colour];
  const two = (value: number) => value.toString(16).padStart(2, "0");
  if (colour >= 232) return `#${two(8 + (colour - 232) * 10).repeat(3)}`;
  const shade = (place: number) => {
    const level = Math.floor((colour - 16) / place) % 6;
    return two(level === 0 ? 0 : 55 + 40 * level);
  };
  return `#${shade(36)}${shade(6)}${shade(1)}`;
}

/**
 * A picture of lines.
 *
 * @param title what it shows, for those who hear it read
 * @param columns how wide the terminal was
 */
export function draw(lines: Run[][], { title, columns }: { title: string; columns: number }): string {
  const width = number(columns * CELL + 2 * PADDING);
  const height = number(lines.length * LINE + 2 * PADDING);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`,
    `  font-family="${FONTS}" font-size="${SIZE}" fill="${FOREGROUND}">`,
    "  <!-- Made by ./build.sh pictures -->",
    `  <title>${escape(title)}</title>`,
    `  <rect x="0.5" y="0.5" width="${number(columns * CELL + 2 * PADDING - 1)}" height="${
      number(lines.length * LINE + 2 * PADDING - 1)
    }" rx="8" fill="${BACKGROUND}" stroke="${BORDER}" />`,
    ...lines.flatMap((line, row) => {
      const top = PADDING + row * LINE;
      // All that is behind a line first: a letter may reach over its cell.
      return [
        ...line.flatMap((run) => backgroundOf(run, top)),
        ...line.flatMap((run) => lettersOf(run, top + BASELINE)),
      ];
    }).map((element) => `  ${element}`),
    "</svg>\n",
  ].join("\n");
}

function backgroundOf({ column, columns, ...look }: Run, top: number): string[] {
  const { background } = coloursOf(look);
  if (!background) return [];
  const x = number(PADDING + column * CELL), width = number(columns * CELL);
  return [`<rect x="${x}" y="${top}" width="${width}" height="${LINE}" fill="${background}" />`];
}

/** Its words, each group at its own place: columns stay below each other, whatever font there is. */
function lettersOf({ column, columns: _all, text, ...look }: Run, baseline: number): string[] {
  const { foreground } = coloursOf(look);
  return [...text.matchAll(/\S+(?: \S+)*/g)].map(({ 0: words, index }) => {
    const columns = columnsOf(words);
    const attributes = [
      `x="${number(PADDING + (column + columnsOf(text.slice(0, index))) * CELL)}"`,
      `y="${baseline}"`,
      // A single letter has no room to be stretched in.
      ...columns > 1 ? [`textLength="${number(columns * CELL)}" lengthAdjust="spacingAndGlyphs"`] : [],
      ...look.bold ? ['font-weight="bold"'] : [],
      ...look.dim ? ['opacity="0.65"'] : [],
      ...foreground ? [`fill="${foreground}"`] : [],
    ];
    return `<text ${attributes.join(" ")}>${escape(words)}</text>`;
  });
}

/** What differs from the terminal's own colours. */
function coloursOf({ colour, background, reverse }: Omit<Run, "column" | "columns" | "text">) {
  const [front, behind] = [colour, background].map((one) => one === undefined ? undefined : hex(one));
  return reverse
    ? { foreground: behind ?? BACKGROUND, background: front ?? FOREGROUND }
    : { foreground: front, background: behind };
}

const number = (value: number) => String(Math.round(value * 100) / 100);

/** Text as XML has it. What no terminal shows XML could not have either. */
function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll(
    '"',
    "&quot;",
  )
    // deno-lint-ignore no-control-regex
    .replaceAll(/[\x00-\x08\x0b-\x1f\x7f]/g, "");
}
