import { closest } from "../text/closest.ts";
import { quote } from "../text/visible.ts";

/** What an option is about, whichever way it is spelled. */
export type Option = "ip" | "port" | "uid-owner" | "gid-owner" | "jump";

const longNames = new Map<string, Option>([
  ["ip", "ip"],
  ["port", "port"],
  ["ports", "port"],
  ["uid-owner", "uid-owner"],
  ["gid-owner", "gid-owner"],
  ["jump", "jump"],
]);

const letters = new Map<string, Option>([
  ["i", "ip"],
  ["p", "port"],
  ["u", "uid-owner"],
  ["g", "gid-owner"],
  ["j", "jump"],
]);

const allOptions = [...letters].map(([letter, option]) => `-${letter} --${option}`).join(", ");

/**
 * The option that a long name or an unambiguous abbreviation of one stands for, as getopt_long finds it: a whole name
 * first, then a beginning of names that all mean the same option. `wrong` says why there is none.
 */
export function findLongOption(name: string): { option: Option } | { wrong: string } {
  const exact = longNames.get(name);
  if (exact) return { option: exact };
  const begun = [...longNames].filter(([longName]) => longName.startsWith(name));
  const options = new Set(begun.map(([, option]) => option));
  if (options.size === 1) return { option: begun[0][1] };
  if (options.size > 1) {
    const names = [...options].map((option) => `--${option}`).join(", ");
    return { wrong: `ambiguous option --${name}: it could be ${names}` };
  }
  return { wrong: unknown(`--${name}`, nearLongOption(name)) };
}

/** The option that a letter stands for. `word` is all of the word it stands in, such as `-s` or `-dport`. */
export function findShortOption(letter: string, word: string): { option: Option } | { wrong: string } {
  const option = letters.get(letter);
  if (option) return { option };
  const lower = letter.toLowerCase();
  if (letters.has(lower)) return { wrong: `unknown option -${letter}: did you mean -${lower}?` };
  return { wrong: unknown(word, nearLongOption(word.slice(1))) };
}

/** The long option that was written with one dash: `--port` for `-port`, for which getopt sees `-p ort`. */
export function findSingleDashed(word: string): string | undefined {
  const name = word.slice(1).split("=")[0];
  return name.length > 1 && "option" in findLongOption(name) ? `--${name}` : undefined;
}

function nearLongOption(name: string): string | undefined {
  const near = closest(name, longNames.keys());
  return near && `--${longNames.get(near)}`;
}

function unknown(option: string, near: string | undefined): string {
  const remedy = near ? `did you mean ${near}?` : `the options are ${allOptions}`;
  return `unknown option ${quote(option)}: ${remedy}`;
}
