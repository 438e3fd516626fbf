import { quote } from "../text/visible.ts";
import type { InForce, Origin } from "./in_force.ts";
import type { Configuration } from "./load.ts";
import { exampleOf, type SetLines } from "./set_line.ts";
import {
  formatValue,
  isSwitch,
  longNameOf,
  type SettingName,
  settingNames,
  settingOf,
  variableOf,
} from "./settings.ts";

/** A setting for JSON and YAML. */
export interface PlainSetting {
  /** As the configuration writes it, but numbers and switches; null where none holds. */
  value: string | number | boolean | null;
  from: Origin;
  /** Of the file. */
  line?: number;
  /** Of the environment. */
  variable?: string;
}

/** What holds of each setting by its long name, and who says so. */
export function toPlainSettings(held: InForce, { settings }: Configuration): Record<string, PlainSetting> {
  return Object.fromEntries(settingNames.map((name) => {
    const value = held.values[name];
    const from = held.from[name];
    const plain = typeof value === "number" || typeof value === "boolean"
      ? value
      : value === undefined
      ? null
      : formatValue(settingOf(name), value);
    return [longNameOf(name), {
      value: plain,
      from,
      ...from === "file" && { line: settings.get(name)!.line },
      ...from === "environment" && { variable: variableOf(name) },
    }];
  }));
}

/**
 * What holds as `set` lines, each with who says so; defaults as comments. Reading the text gives what holds, wherever it was
 * said.
 */
export function printSettings(held: InForce, configuration: Configuration): string {
  const rows = settingNames.map((name) => [lineOf(held, name), whence(held, configuration, name)]);
  const width = Math.max(...rows.map(([line]) => line.length));
  return rows.map(([line, from]) => `${line.padEnd(width)}  # ${from}\n`).join("");
}

function lineOf({ values, from }: InForce, name: SettingName): string {
  const value = values[name];
  const setting = settingOf(name);
  if (value === undefined) return `#set ${exampleOf(name, setting)}`;
  const text = formatValue(setting, value);
  // What a variable says may be what no line can say.
  const canBeSaid = from[name] !== "default" && !/[\s\p{C}\p{Z}]/u.test(text) && !text.startsWith("#");
  return `${canBeSaid ? "" : "#"}set ${longNameOf(name)} ${canBeSaid ? text : quote(text)}`;
}

function whence({ values, from }: InForce, { settings }: Configuration, name: SettingName): string {
  switch (from[name]) {
    case "file":
      return `line ${settings.get(name)!.line}`;
    case "environment":
      return variableOf(name);
    case "command line":
      return "command line";
    case "default":
      return values[name] === undefined ? `not set: ${settingOf(name).otherwise}` : "default";
  }
}

/** What `set` lines say, one line each in the order of the file: reading the text gives the same. */
export function printSetLines(lines: SetLines): string {
  return [...lines].map(([name, { value }]) =>
    `set ${longNameOf(name)} ${formatValue(settingOf(name), value)}\n`
  )
    .join("");
}

/** What explains each setting in the configuration that ships: comments, and a line with its default that is one, too. */
export function explainSettings(): string {
  return settingNames.map((name) => {
    const setting = settingOf(name);
    const { words, choices, otherwise } = setting;
    const about = isSwitch(setting) ? `${setting.default ? "no" : "yes"}: ${words}` : words;
    const values = choices ? ` (${choices.join(", ")})` : "";
    const unset = otherwise === undefined ? "" : `; not set: ${otherwise}`;
    return `# ${about}${values}${unset}\n#set ${exampleOf(name, setting)}\n`;
  }).join("\n");
}
