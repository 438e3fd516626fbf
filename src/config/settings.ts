/**
 * What the command line, the environment and `set` lines of the configuration can say: every option that is not about the file
 * itself. One list, from which all of these are made, and the completions, the manual and the references.
 */
import {
  formatListenAddress,
  type ListenAddress,
  parseListenAddress,
  parseLocalAddress,
} from "../host/listen_address.ts";
import { type UnknownPrograms, unknownPrograms } from "./unknown.ts";

const SECONDS_MAX = 3600;
const CONNECTIONS_MAX = 10_000_000;

/** An option. Its name here is that of `drainTimeout` for --drain-timeout, `set drain-timeout` and MDA_DRAIN_TIMEOUT. */
export interface Setting<T> {
  /** What it does, as --help says it. Of a switch that is on: what switching it off does. */
  words: string;
  /** What stands for its value in --help: `FILE`. A switch has none. */
  value?: string;
  /** What the value can be. */
  choices?: readonly (T & string)[];
  /** What holds without it. */
  default?: T;
  /** What holds without it, where no value says that. */
  otherwise?: string;
  /** Reads a value; undefined when it is none. */
  parse?(text: string): T | undefined;
  /** Writes a value, so that it can be read again. */
  format?(value: NonNullable<T>): string;
  /** What a value is, as a sentence for who gives another. */
  expects?: string;
  /** A value, for those without a default. */
  example?: string;
  /** What has to be there: the directory or file that is named, or the directory that is to have it. */
  place?: "directory" | "file" | "parent";
  /** Something listens there. */
  listens?: true;
  /** Means nothing where no process stays: for mda enable. */
  needsProcess?: true;
  /** A reload puts another value in force, without a restart. */
  reloads?: true;
}

/** What each setting has that names where to listen. */
const listening = {
  value: "ADDR:PORT",
  format: formatListenAddress,
  otherwise: "nowhere",
  listens: true,
  needsProcess: true,
  reloads: true,
} as const;

const define = <T>(setting: Setting<T>): Setting<T> => setting;

export const settings = {
  mode: define<"foreground" | "daemon">({
    value: "MODE",
    words: "daemon: go on in the background once connections are accelerated",
    choices: ["foreground", "daemon"],
    default: "foreground",
    needsProcess: true,
  }),
  cgroup: define<string | undefined>({
    value: "DIR",
    words: "accelerate what runs in this cgroup",
    otherwise: "the whole host",
    example: "/sys/fs/cgroup/kubepods.slice",
    place: "directory",
  }),
  sockets: define<"nonblocking" | "all">({
    value: "KIND",
    words: "which sockets to accelerate",
    choices: ["nonblocking", "all"],
    default: "nonblocking",
  }),
  unknown: define<UnknownPrograms>({
    value: "HOW",
    words: "what becomes of programs that are not known yet",
    choices: unknownPrograms,
    default: "learn",
    reloads: true,
  }),
  adopt: define<boolean>({
    words: "leave connections that are already open to TCP",
    default: true,
    reloads: true,
  }),
  watch: define<boolean>({
    words: "reload when the configuration's file changes, as SIGHUP does",
    default: false,
    needsProcess: true,
    reloads: true,
  }),
  drainTimeout: define<number>({
    value: "SECONDS",
    words: "how long a stop waits for programs that read late",
    parse: (text) => numberIn(text, /^\d+(\.\d+)?$/, 0, SECONDS_MAX),
    expects: `It is a number from 0 to ${SECONDS_MAX}.`,
    default: 5,
    reloads: true,
  }),
  keep: define<boolean>({
    words: "leave acceleration on when it stops, as mda enable does",
    default: false,
    needsProcess: true,
    reloads: true,
  }),
  maxConnections: define<number | undefined>({
    value: "COUNT",
    words: "how many can be accelerated at once",
    parse: (text) => numberIn(text, /^\d+$/, 1, CONNECTIONS_MAX),
    expects: `It is a number from 1 to ${CONNECTIONS_MAX}.`,
    otherwise: "131072",
    example: "131072",
  }),
  pidFile: define<string | undefined>({
    value: "FILE",
    words: "file for the process number",
    otherwise: "none; of a daemon: /run/mda.pid",
    example: "/run/mda.pid",
    place: "parent",
    needsProcess: true,
  }),
  logFile: define<string | undefined>({
    value: "FILE",
    words: "log to a file",
    otherwise: "standard error; of a daemon: the journal",
    example: "/var/log/mda.log",
    place: "parent",
    needsProcess: true,
  }),
  logFormat: define<"text" | "json">({
    value: "FORMAT",
    words: "how to log",
    choices: ["text", "json"],
    default: "text",
    needsProcess: true,
    reloads: true,
  }),
  logLevel: define<"debug" | "info" | "warning" | "error">({
    value: "LEVEL",
    words: "what to log: this, and what is worse",
    choices: ["debug", "info", "warning", "error"],
    default: "info",
    needsProcess: true,
    reloads: true,
  }),
  metrics: define<ListenAddress | undefined>({
    ...listening,
    words: "serve metrics for Prometheus over HTTP (:PORT for all addresses)",
    parse: parseListenAddress,
    expects: "It is as 127.0.0.1:9464, [::1]:9464, or :9464 for all addresses.",
    example: "127.0.0.1:9464",
  }),
  web: define<ListenAddress | undefined>({
    ...listening,
    words: "serve a page that shows what it does (:PORT for this host only)",
    parse: parseLocalAddress,
    expects: "It is as 127.0.0.1:9465, [::1]:9465, or :9465 for this host only.",
    example: "127.0.0.1:9465",
  }),
  webTokenFile: define<string | undefined>({
    value: "FILE",
    words: "file with the token that the page asks for: other addresses need one",
    otherwise: "none",
    example: "/etc/oncn-mda/web-token",
    place: "file",
    needsProcess: true,
    reloads: true,
  }),
  pinDir: define<string>({
    value: "DIR",
    words: "directory on bpffs where mda keeps its state; each running mda needs its own",
    default: "/sys/fs/bpf/mda",
    place: "parent",
  }),
} as const;

export type SettingName = keyof typeof settings;

/** What holds of each. */
export type Settings = {
  -readonly [K in SettingName]: typeof settings[K] extends Setting<infer T> ? T : never;
};

/** Those that something has a value of. */
export type SomeSettings = Partial<Settings>;

export const settingNames = Object.keys(settings) as SettingName[];

/** Where nothing says it: of what a daemon needs and a foreground process does not. */
export const daemonPidFile = "/run/mda.pid";

/** The same setting, whose values are of any type. */
export const settingOf = (name: SettingName): Setting<unknown> => settings[name] as Setting<unknown>;

/** `drain-timeout`, as options and `set` lines have it. */
export const longNameOf = (name: string): string =>
  name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);

/** `MDA_DRAIN_TIMEOUT` */
export const variableOf = (name: string): string =>
  `MDA_${longNameOf(name).replaceAll("-", "_").toUpperCase()}`;

export const isSwitch = ({ value }: Setting<unknown>): boolean => value === undefined;

/** Reads what a file or a variable says; undefined when it is no value of that setting. */
export function readValue(setting: Setting<unknown>, text: string): unknown {
  if (isSwitch(setting)) return text === "yes" ? true : text === "no" ? false : undefined;
  if (setting.choices) return setting.choices.find((choice) => choice === text);
  return setting.parse ? setting.parse(text) : text;
}

/** Writes a value as a file says it. */
export function formatValue(setting: Setting<unknown>, value: unknown): string {
  if (isSwitch(setting)) return value ? "yes" : "no";
  return setting.format ? setting.format(value!) : String(value);
}

/** What a value is, for who gives another. */
export function expectationOf({ choices, expects, value }: Setting<unknown>): string {
  if (value === undefined) return "It is yes or no.";
  return choices ? `It is one of ${choices.join(", ")}.` : expects ?? `It is a ${value}.`;
}

function numberIn(text: string, form: RegExp, least: number, most: number): number | undefined {
  const value = form.test(text) ? Number(text) : NaN;
  return value >= least && value <= most ? value : undefined;
}
