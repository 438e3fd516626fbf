import { closest } from "../text/closest.ts";
import { quote } from "../text/visible.ts";
import type { Line, Span } from "./line.ts";
import type { Mistake } from "./mistakes.ts";
import {
  expectationOf,
  formatValue,
  isSwitch,
  longNameOf,
  readValue,
  type Setting,
  type SettingName,
  settingNames,
  settingOf,
} from "./settings.ts";

/** What a `set` line says, and where. */
export interface SetLine {
  value: unknown;
  /** From 1. */
  line: number;
  /** What is wrong with the value, at its place. */
  mistake(what: string): Mistake;
}

/** What the `set` lines of a file say. */
export type SetLines = Map<SettingName, SetLine>;

const names = new Map(settingNames.map((name) => [longNameOf(name), name]));

/** Reads a line that starts with `set` into `lines`; what is wrong with it is reported instead. */
export function readSetLine(
  line: Line,
  lines: SetLines,
  report: (what: string, span: Span, start?: number, end?: number) => undefined,
): void {
  const [first, nameSpan, ...rest] = line.words;
  if (!nameSpan) return report("a set line needs a name and a value, such as set drain-timeout 10", first);
  const name = names.get(nameSpan.text);
  if (!name) return report(explainName(nameSpan.text), nameSpan);
  const setting = settingOf(name);
  const before = lines.get(name);
  if (before) return report(`second set ${nameSpan.text}: line ${before.line} has it already`, nameSpan);
  const [valueSpan, ...stray] = rest;
  if (!valueSpan && !isSwitch(setting)) {
    return report(`${nameSpan.text} needs a value, such as set ${exampleOf(name, setting)}`, nameSpan);
  }
  if (stray.length > 0) {
    return report(`stray word ${quote(stray[0].text)}: a set line has one name and one value`, stray[0]);
  }
  const text = valueSpan?.text ?? "yes";
  const wrong = setting.place && explainPath(text);
  const value = wrong ? undefined : readValue(setting, text);
  const at = valueSpan ?? nameSpan;
  if (value === undefined) {
    report(`bad ${nameSpan.text} ${quote(text)}: ${wrong ?? explainValue(setting, text)}`, at);
    // Or a second one would be told of one mistake as of two.
  }
  lines.set(name, { value, line: line.number, mistake: (what) => line.mistake(what, at) });
}

/** `drain-timeout 5`: a line without its first word. */
export function exampleOf(name: SettingName, setting: Setting<unknown>): string {
  const value = setting.example ?? formatValue(setting, setting.default);
  return `${longNameOf(name)} ${value}`;
}

function explainName(word: string): string {
  const bare = word.replace(/^-+/, "");
  const [name, value] = bare.split("=", 2);
  const found = names.get(name);
  if (found && value !== undefined) {
    return `unknown name ${quote(word)}: did you mean set ${quote(`${name} ${value}`)}?`;
  }
  if (found) return `unknown name ${quote(word)}: a set line has no dashes, did you mean ${name}?`;
  if (name === "daemon") return `unknown name ${quote(word)}: did you mean set mode daemon?`;
  if (name === "no-adopt") return `unknown name ${quote(word)}: did you mean set adopt no?`;
  if (name === "config") return `unknown name ${quote(word)}: a file does not name another one`;
  const longer = [...names.keys()].filter((long) => long.startsWith(name));
  const near = closest(name, names.keys()) ?? (longer.length === 1 ? longer[0] : undefined);
  return `unknown name ${quote(word)}: ${
    near ? `did you mean ${near}?` : `the names are ${[...names.keys()].join(", ")}`
  }`;
}

function explainValue(setting: Setting<unknown>, text: string): string {
  const choices = isSwitch(setting) ? ["yes", "no"] : setting.choices;
  const near = meansSwitch(setting, text) ?? closest(text, choices ?? []);
  if (near) return `did you mean ${near}?`;
  if (/^["'].*["']$/.test(text)) return "values take no quotation marks";
  const sentence = expectationOf(setting);
  return `${sentence[0].toLowerCase()}${sentence.slice(1, -1)}`;
}

/** What others write for yes and no. */
function meansSwitch(setting: Setting<unknown>, text: string): string | undefined {
  if (!isSwitch(setting)) return undefined;
  if (/^(on|true|1|enabled?)$/i.test(text)) return "yes";
  return /^(off|false|0|disabled?)$/i.test(text) ? "no" : undefined;
}

/** A file is read wherever a process was started, so a path has to say all. */
function explainPath(text: string): string | undefined {
  if (text.startsWith("/")) return undefined;
  if (/^["'].*["']$/.test(text)) return "values take no quotation marks";
  return "a path in the file starts with /";
}
