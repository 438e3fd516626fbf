import { findContradictions } from "./contradictions.ts";
import type { Configuration } from "./load.ts";
import { ConfigurationError } from "./mistakes.ts";
import { findMisplaced } from "./places.ts";
import {
  expectationOf,
  readValue,
  type SettingName,
  settingNames,
  settingOf,
  type Settings,
  type SomeSettings,
  variableOf,
} from "./settings.ts";

/** Who says what holds, the strongest first. */
export const origins = ["command line", "environment", "file", "default"] as const;

export type Origin = typeof origins[number];

/** What holds of every setting, and who says so. */
export interface InForce {
  values: Settings;
  from: Record<SettingName, Origin>;
  /** All that is wrong with the file: none of it is to be used then. Its settings that are in order hold here nevertheless. */
  error?: Error;
  /** What is wrong with variables, by the settings that they are of. */
  wrongVariables: Map<SettingName, string>;
}

/** What the command line says of settings, what the file says, and what holds by both. */
export interface Said {
  given: SomeSettings;
  configuration: Configuration;
  held: InForce;
}

export interface InForceOptions {
  /** The settings whose paths and ports are looked at; all when absent. */
  names?: readonly SettingName[];
  /** A port where an mda listens is no mistake: it may be the one that has the file. */
  mayBeOurs?: boolean;
}

/**
 * What holds: the command line wins over the environment, the environment over the file, the file over the defaults.
 *
 *     inForce(readConfiguration(file), { drainTimeout: 30 }).from.drainTimeout // "command line"
 *
 * @param given what the command line says
 */
export function inForce(
  configuration: Configuration,
  given: SomeSettings,
  { names = settingNames, mayBeOurs = false }: InForceOptions = {},
): InForce {
  const values: Partial<Record<SettingName, unknown>> = {};
  const from: Partial<Record<SettingName, Origin>> = {};
  const wrongVariables = new Map<SettingName, string>();
  const misplaced = [];
  for (const name of settingNames) {
    const setting = settingOf(name);
    const text = Deno.env.get(variableOf(name)) || undefined;
    const read = text === undefined ? undefined : readValue(setting, text);
    if (text !== undefined && read === undefined) {
      wrongVariables.set(
        name,
        `variable ${variableOf(name)}: '${text}' is invalid. ${expectationOf(setting)}`,
      );
    }
    const said = configuration.settings.get(name);
    const wrong = said?.value !== undefined && given[name] === undefined && read === undefined &&
      names.includes(name) && findMisplaced(setting, said.value, mayBeOurs);
    if (wrong) misplaced.push(said.mistake(wrong));
    const layers = [given[name], read, wrong ? undefined : said?.value, setting.default];
    const index = layers.findIndex((value) => value !== undefined);
    values[name] = layers[index];
    from[name] = origins.at(index)!;
  }
  for (const { names: either, what } of findContradictions(values as Settings)) {
    // What is wrong with other layers is said by who uses it.
    const name = either.find((name) => from[name] === "file" && names.includes(name));
    if (name === undefined) continue;
    misplaced.push(configuration.settings.get(name)!.mistake(what));
    values[name] = settingOf(name).default;
    from[name] = "default";
  }
  return {
    values: values as Settings,
    from: from as Record<SettingName, Origin>,
    error: errorOf(configuration, misplaced),
    wrongVariables,
  };
}

function errorOf(
  { file, error }: Configuration,
  misplaced: ConfigurationError["mistakes"],
): Error | undefined {
  if (misplaced.length === 0) return error;
  if (error && !(error instanceof ConfigurationError)) return error;
  const all = [...error?.mistakes ?? [], ...misplaced];
  return new ConfigurationError(file, all.sort((a, b) => a.line - b.line || a.column - b.column));
}
