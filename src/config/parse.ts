import { closest } from "../text/closest.ts";
import { Line, type Span } from "./line.ts";
import { ConfigurationError, type Mistake } from "./mistakes.ts";
import { readSetLine, type SetLines } from "./set_line.ts";
import { findLongOption, findShortOption, findSingleDashed, type Option } from "./options.ts";
import { type Rule, RULES_MAX, VALUES_MAX } from "../rules/rules.ts";
import { parseAddressPrefix, parseJump, parseOwner, parsePortRange, type Report } from "./values.ts";
import { codePoint, findHidden, quote } from "../text/visible.ts";

/** A file with more mistakes than this is not a configuration at all; the rest of it is not looked at. */
export const MISTAKES_MAX = 1000;

export interface Parsed {
  rules: Rule[];
  /** What `set` lines say. */
  settings: SetLines;
  /** In the order of the file. When there is one, `rules` is not what the writer meant and must not be used. */
  mistakes: Mistake[];
}

/** Takes note of what is wrong with `span`, or with its characters from `start` to `end`. */
type LineReport = (what: string, span: Span, start?: number, end?: number) => undefined;

/** A value and the option it belongs to. */
interface GivenOption {
  option: Option;
  value: Span;
}

/**
 * Reads a configuration: one `chain` line a rule, options as getopt_long reads them; one `set` line a setting. Finds every
 * mistake, never throws.
 *
 *     parse("chain --port 15006 -j RETURN\n").rules[0].ports // [{ first: 15006, last: 15006 }]
 */
export function parse(text: string): Parsed {
  const rules: Rule[] = [];
  const settings: SetLines = new Map();
  const mistakes: Mistake[] = [];
  let values = 0;
  let overRules: (() => Mistake) | undefined;
  let overValues: (() => Mistake) | undefined;

  const lines = text.replace(/^\ufeff/, "").split(/\r?\n/);
  for (let i = 0; i < lines.length && mistakes.length <= MISTAKES_MAX; i++) {
    const line = new Line(lines[i], i + 1);
    const report: LineReport = (what, span, start, end) => {
      if (mistakes.length > MISTAKES_MAX) return;
      const full = `more than ${MISTAKES_MAX} mistakes: the file was not looked at from here on`;
      mistakes.push(line.mistake(mistakes.length < MISTAKES_MAX ? what : full, span, start, end));
    };
    const options = readLine(line, settings, report);
    if (!options) continue;
    rules.push(makeRule(line, options, report));
    if (rules.length === RULES_MAX + 1) {
      overRules = () => line.mistake(tooMany("rules", rules.length, RULES_MAX), line.words[0]);
    }
    for (const { option, value } of options) {
      if (option !== "jump" && ++values === VALUES_MAX + 1) {
        overValues = () => line.mistake(tooMany("values", values, VALUES_MAX), value);
      }
    }
  }
  // A file that was not looked at to its end has no number of rules or values to tell.
  if (mistakes.length <= MISTAKES_MAX) {
    for (const over of [overRules, overValues]) if (over) mistakes.push(over());
  }
  return { rules, settings, mistakes: mistakes.sort((a, b) => a.line - b.line || a.column - b.column) };
}

/** The rules of `text`. Throws a ConfigurationError that names `file` when there is a mistake in it. */
export function parseRules(file: string, text: string): Rule[] {
  const { rules, mistakes } = parse(text);
  if (mistakes.length > 0) throw new ConfigurationError(file, mistakes);
  return rules;
}

/** The options of a line with their values, or nothing when the line is no rule; what it sets goes into `set`. */
function readLine(line: Line, set: SetLines, report: LineReport): GivenOption[] | undefined {
  if (line.words.length === 0) return;
  const foreign = findForeign(line);
  if (foreign) return report(foreign.what, foreign.span);

  let rest = line.words;
  const first = rest[0];
  if (first.text === "set") return void readSetLine(line, set, report);
  if (first.text !== "chain") {
    const wrong = explainStart(first.text);
    report(wrong.what, first);
    if (!wrong.isRule) return;
  }
  if (!first.text.startsWith("-")) rest = rest.slice(1);
  if (rest.every((word) => word.text === "--")) {
    report("a rule needs an option: chain -j ACCEPT or chain -j RETURN is for every connection", first);
  }

  const settings: GivenOption[] = [];
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i];
    const next = rest[i + 1];
    if (word.text === "--") {
      for (const stray of rest.slice(i + 1)) {
        report(`stray word ${quote(stray.text)}: -- ends the options`, stray);
      }
      break;
    }
    const nextIsValue = next !== undefined && !/^-[-a-z]/i.test(next.text);
    if (!/^-./.test(word.text)) {
      report(explainStray(word.text, settings.at(-1)), word);
      if (foreignDash.test(word.text) && nextIsValue) i++;
      continue;
    }
    const read = readOption(word);
    if ("wrong" in read) {
      report(read.wrong, word, 0, read.name.length);
      // What follows was meant to be its value: one mistake, not two.
      if (!read.value && nextIsValue) i++;
    } else if (read.value?.text || (!read.value && nextIsValue)) {
      settings.push({ option: read.option, value: read.value ?? next! });
      if (!read.value) i++;
    } else {
      report(`${read.name} needs a value, such as ${read.name} ${examples[read.option]}`, word);
    }
  }
  return settings;
}

/** What word processors and web pages make of a hyphen. */
const foreignDash = /^(?!-)[\p{Pd}\u2212]/u;

const examples: Record<Option, string> = {
  "ip": "192.168.1.0/24",
  "port": "15001-15006",
  "uid-owner": "1337",
  "gid-owner": "1337",
  "jump": "RETURN",
};

function makeRule(line: Line, settings: GivenOption[], report: LineReport): Rule {
  const rule: Rule = { line: line.number, addresses: [], ports: [], uids: [], gids: [], jump: "ACCEPT" };
  let jumpColumn = 0;
  for (const { option, value } of settings) {
    const { text } = value;
    const wrong: Report = (what, start, end) => report(what, value, start, end);
    const add = <T>(values: T[], parsed: T | undefined) => parsed !== undefined && values.push(parsed);
    switch (option) {
      case "ip":
        add(rule.addresses, parseAddressPrefix(text, wrong));
        break;
      case "port":
        add(rule.ports, parsePortRange(text, wrong));
        break;
      case "uid-owner":
        add(rule.uids, parseOwner(text, "uid", wrong));
        break;
      case "gid-owner":
        add(rule.gids, parseOwner(text, "gid", wrong));
        break;
      case "jump": {
        const jump = parseJump(text, wrong);
        if (!jump) break;
        if (jumpColumn > 0 && jump !== rule.jump) {
          wrong(`second jump ${quote(text)}: the rule has ${rule.jump} already, in column ${jumpColumn}`);
          break;
        }
        rule.jump = jump;
        jumpColumn = line.columnAt(value.offset);
      }
    }
  }
  return rule;
}

/**
 * Splits a word that starts with a dash as getopt_long does: `--name`, `--name=value`, `-n`, `-nvalue`. `name` is the
 * option as it was written.
 */
function readOption(word: Span): { name: string; value?: Span } & ({ option: Option } | { wrong: string }) {
  const rest = (offset: number): Span => ({ text: word.text.slice(offset), offset: word.offset + offset });
  if (word.text.startsWith("--")) {
    const equals = word.text.indexOf("=");
    const name = equals < 0 ? word.text : word.text.slice(0, equals);
    return { name, value: equals < 0 ? undefined : rest(equals + 1), ...findLongOption(name.slice(2)) };
  }
  const meant = findSingleDashed(word.text);
  if (meant) {
    const read = `${word.text.slice(0, 2)} ${quote(word.text.slice(2))}`;
    return { name: word.text, wrong: `${quote(word.text)} means ${read}: did you mean ${meant}?` };
  }
  const letter = String.fromCodePoint(word.text.codePointAt(1)!);
  const found = findShortOption(letter, word.text);
  const glued = rest(1 + letter.length);
  const name = "wrong" in found ? word.text : word.text.slice(0, 2);
  return { name, value: glued.text && "option" in found ? glued : undefined, ...found };
}

/** The first character of a line's words that no rule can hold. */
function findForeign({ words }: Line): { what: string; span: Span } | undefined {
  for (const word of words) {
    const broken = word.text.indexOf("\ufffd");
    if (broken >= 0) {
      return { what: "not UTF-8 text here", span: { text: "\ufffd", offset: word.offset + broken } };
    }
    const found = findHidden(word.text);
    if (!found) continue;
    const code = codePoint(found.character);
    const what = /\p{Z}/u.test(found.character)
      ? `${code} is not a space: only the ordinary space and the tab separate words`
      : `${code} is a character that does not show: remove it`;
    return { what, span: { text: found.character, offset: word.offset + found.offset } };
  }
}

function explainStart(word: string): { what: string; isRule: boolean } {
  if (word.startsWith("-")) return { what: "a rule starts with the word chain", isRule: true };
  if (closest(word, ["chain"])) {
    return { what: `unknown word ${quote(word)}: did you mean chain?`, isRule: true };
  }
  const meant = closest(word, ["set"])
    ? "did you mean set?"
    : "a rule starts with chain, a setting with set, a comment with #";
  return { what: `unknown word ${quote(word)}: ${meant}`, isRule: false };
}

function explainStray(word: string, before: GivenOption | undefined): string {
  const stray = `stray word ${quote(word)}`;
  if (word === "chain") return `${stray}: each rule has a line of its own`;
  if (foreignDash.test(word)) return `${stray}: options start with the hyphen of the keyboard, -`;
  if (word === "!") return `${stray}: there is no negation, write a RETURN rule for what is to stay on TCP`;
  if (before && before.option !== "jump") return `${stray}: for one more value repeat --${before.option}`;
  return `${stray}: an option must name it, such as --port`;
}

function tooMany(what: string, count: number, limit: number): string {
  return `too many ${what}: the file has ${count}, the limit is ${limit}, and this is the first one over it`;
}
