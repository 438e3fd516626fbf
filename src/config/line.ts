import { excerptOf, type Mistake } from "./mistakes.ts";

/** A piece of a line. */
export interface Span {
  text: string;
  /** Where it starts, in UTF-16 units from 0. */
  offset: number;
}

/** One line of a configuration, and how to point into it. */
export class Line {
  /** What stands between spaces and tabs, up to a comment. */
  readonly words: Span[];
  readonly #counted = { offset: 0, column: 1 };

  /** `number` counts from 1. */
  constructor(readonly text: string, readonly number: number) {
    this.words = [];
    for (const match of text.matchAll(/[^ \t\r]+/g)) {
      if (match[0].startsWith("#")) break;
      this.words.push({ text: match[0], offset: match.index });
    }
  }

  /** In characters, from 1. */
  columnAt(offset: number): number {
    // Goes on from the place that was asked for last: a line may be long and full of mistakes.
    const counted = this.#counted;
    if (offset < counted.offset) Object.assign(counted, { offset: 0, column: 1 });
    for (const _character of this.text.slice(counted.offset, offset)) counted.column++;
    counted.offset = offset;
    return counted.column;
  }

  /** What is wrong with `span`, or with its characters from `start` to `end`. */
  mistake(what: string, span: Span, start = 0, end = span.text.length): Mistake {
    return {
      line: this.number,
      column: this.columnAt(span.offset + start),
      what,
      excerpt: excerptOf(this.text, span.offset + start, span.offset + end),
    };
  }
}
