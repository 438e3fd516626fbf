import { columnsOf, visible } from "../text/visible.ts";

/** Characters of a line that an excerpt shows, and how many of them at most stand before the place. */
const EXCERPT_LENGTH = 100;
const EXCERPT_BEFORE = 40;
const indent = "    ";

/** Something wrong at one place of a configuration. */
export interface Mistake {
  /** From 1. */
  line: number;
  /** In characters (Unicode code points, a tab is one), from 1. */
  column: number;
  /** What is wrong and, where it can be known, what to write instead. */
  what: string;
  /** The line, shortened around the place when it is long, and the carets under it: two lines to print. */
  excerpt: string;
}

/** The only error of this directory: the configuration cannot be used, and `message` says all of why. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
  readonly file: string;
  /** In the order of the file; empty when the file could not be read at all. */
  readonly mistakes: Mistake[];

  constructor(file: string, why: string | Mistake[]) {
    super(typeof why === "string" ? why : why.map((mistake) => formatMistake(file, mistake)).join("\n"));
    this.file = file;
    this.mistakes = typeof why === "string" ? [] : why;
  }
}

/** `FILE:LINE:COLUMN: what is wrong`, the line, and a caret under it. */
export function formatMistake(file: string, { line, column, what, excerpt }: Mistake): string {
  return `${visible(file)}:${line}:${column}: ${what}\n${excerpt}`;
}

/** The part of `line` around `start` to `end` (UTF-16 offsets) over the carets that mark them. */
export function excerptOf(line: string, start: number, end: number): string {
  // The offsets of an excerpt must not fall between the two halves of a surrogate pair.
  const whole = (offset: number) => /[\udc00-\udfff]/.test(line.charAt(offset)) ? offset - 1 : offset;
  const from = line.length <= EXCERPT_LENGTH ? 0 : whole(Math.max(0, start - EXCERPT_BEFORE));
  const to = whole(Math.min(line.length, from + EXCERPT_LENGTH));
  const before = (from > 0 ? "…" : "") + line.slice(from, start);
  const marked = line.slice(start, Math.min(end, to));
  const after = line.slice(Math.min(end, to), to) + (to < line.length ? "…" : "");
  // A tab stays a tab in both lines, so that the caret is right for every tab width.
  const tabs = (part: string, map: (part: string) => string) => part.split("\t").map(map).join("\t");
  const shown = tabs(before + marked + after, visible);
  const blank = tabs(before, (part) => " ".repeat(columnsOf(part)));
  const carets = "^" + "~".repeat(Math.max(0, columnsOf(marked) - 1));
  return `${indent}${shown}\n${indent}${blank}${carets}`;
}
