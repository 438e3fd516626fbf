/** Options of more than one command, each in one place. What a file can set as well is in src/config/settings.ts. */
import { defaultConfig } from "../../config/default_file.ts";
import {
  formatValue,
  readValue,
  type Setting,
  type SettingName,
  settingNames,
  settingOf,
  type Settings,
  variableOf,
} from "../../config/settings.ts";
import { type Format, formats } from "../../output/print.ts";
import type { OptionDeclaration } from "./declaration.ts";

type SettingOptions = { [K in SettingName]: OptionDeclaration<Settings[K]> };

/** The options that a file can set, by their names. */
export const setting = Object.fromEntries(
  settingNames.map((name) => [name, fromSetting(name, settingOf(name))]),
) as SettingOptions;

/** Of the program itself: every command has it. */
export const { pinDir } = setting;

export const config: OptionDeclaration<string> = {
  letter: "c",
  value: "FILE",
  words: "file with the rules and settings (chain and set lines)",
  default: defaultConfig,
};

/** Where rules are in force already. */
export const otherConfig: OptionDeclaration<string | undefined> = {
  letter: "c",
  value: "FILE",
  words: "file with the rules (default: the one that is in use)",
};

export const daemon: OptionDeclaration<boolean | undefined> = {
  words: "the same as --mode daemon",
  implies: { mode: "daemon" },
};

export const force: OptionDeclaration<boolean | undefined> = {
  words: "after that, reset the connections that have unread bytes",
};

export const reapply: OptionDeclaration<boolean | undefined> = {
  words: "also apply the new rules to open connections",
};

/** What ends by itself after so many: each command says of what. */
export const count = {
  value: "COUNT",
  parse: (text: string) => /^[1-9]\d{0,9}$/.test(text) ? Number(text) : undefined,
  expects: "It is a number from 1 on.",
} as const;

export const output: OptionDeclaration<Format> = {
  letter: "o",
  value: "FORMAT",
  words: "how to print",
  choices: formats,
  default: "table",
};

/** The default that --help shows is the environment's, where it says one. */
function fromSetting(name: SettingName, setting: Setting<unknown>): OptionDeclaration<unknown> {
  const { value, choices, parse, expects, otherwise } = setting;
  const text = Deno.env.get(variableOf(name));
  const holds = (text ? readValue(setting, text) : undefined) ?? setting.default;
  const shown = holds === undefined || typeof holds !== "object" ? holds : formatValue(setting, holds);
  return {
    setting: name,
    words: holds === undefined && otherwise ? `${setting.words} (default: ${otherwise})` : setting.words,
    value,
    choices,
    parse,
    expects,
    // A switch is on or off whatever the environment says: its option is for the other.
    default: value === undefined ? setting.default || undefined : shown,
  };
}
