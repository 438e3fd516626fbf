import { eastAsianWidth } from "get-east-asian-width";

/** Characters of a value that a sentence quotes. */
const QUOTE_LENGTH = 50;

// Everything that a terminal would obey, reorder or hide instead of showing it, the ordinary space excepted.
const hidden = /(?! )[\p{C}\p{Z}]/u;
const hiddenAnywhere = new RegExp(hidden, "gu");
const zeroWidth = /\p{M}/u;

/** The first character of `text` that does not show on a terminal, as `{ character, offset }`. */
export function findHidden(text: string): { character: string; offset: number } | undefined {
  const found = hidden.exec(text);
  return found ? { character: found[0], offset: found.index } : undefined;
}

/** `text` with each character that would not show written as `\x1b` or `\u{202e}`. */
export function visible(text: string): string {
  return text.replace(hiddenAnywhere, escape);
}

/**
 * `text` for use in a sentence: what does not show is made visible, what is long is cut, and what ends in something else
 * than a letter or digit gets quotation marks.
 */
export function quote(text: string): string {
  const characters = [...text.slice(0, QUOTE_LENGTH * 2)];
  const shown = visible(characters.slice(0, QUOTE_LENGTH).join(""));
  if (characters.length > QUOTE_LENGTH) return `${shown}…`;
  return /[\p{L}\p{N}"']$/u.test(text) ? shown : `"${shown}"`;
}

/** `U+00A0`, for people to look up. */
export function codePoint(character: string): string {
  return `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** Columns that `text` takes on a terminal once it went through `visible`. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const character of visible(text)) {
    columns += zeroWidth.test(character) ? 0 : eastAsianWidth(character.codePointAt(0)!);
  }
  return columns;
}

function escape(character: string): string {
  const code = character.codePointAt(0)!;
  return code < 0x80 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
}
