/** The option of commands that show something again and again. */
import type { OptionDeclaration } from "./declaration.ts";

const WATCH_SECONDS = 2;
const WATCH_SECONDS_MAX = 3600;

export const watchAgain: OptionDeclaration<number | undefined> = {
  letter: "w",
  value: "SECONDS",
  mayLackValue: true,
  words: `again and again, every ${WATCH_SECONDS} seconds if not told`,
  parse: readInterval,
  expects: `It is a number from 0.1 to ${WATCH_SECONDS_MAX}.`,
};

/** What the option's value means: without one it is true. */
export function watchSeconds(value: unknown): number | undefined {
  return value === true ? WATCH_SECONDS : value as number | undefined;
}

/** Reads an interval; undefined when it is none. */
/** Reads an interval; undefined when it is none. */
export function readInterval(text: string): number | undefined {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  return value >= 0.1 && value <= WATCH_SECONDS_MAX ? value : undefined;
}
