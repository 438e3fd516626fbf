/** Every option of the commands, each in one place. */
import { type UnknownPrograms, unknownPrograms } from "../../config/unknown.ts";
import { type MetricsAddress, parseMetricsAddress } from "../../http/address.ts";
import { type Format, formats } from "../../output/print.ts";
import type { OptionDeclaration } from "./declaration.ts";
import { parseWebAddress, type WebAddress } from "../../web/address.ts";
import { defaults } from "../../config/defaults.ts";

const SECONDS_MAX = 3600;
const CONNECTIONS_MAX = 10_000_000;

/** Of the program itself: every command has it. */
export const pinDir: OptionDeclaration<string> = {
  value: "DIR",
  words: "directory on bpffs where mda keeps its state; each running mda needs its own",
  default: defaults.pinDir,
};

export const config: OptionDeclaration<string> = {
  letter: "c",
  value: "FILE",
  words: "file with the rules (chain lines)",
  default: defaults.config,
};

/** Where rules are in force already. */
export const otherConfig: OptionDeclaration<string | undefined> = {
  letter: "c",
  value: "FILE",
  words: "file with the rules (default: the one that is in use)",
};

export const cgroup: OptionDeclaration<string | undefined> = {
  value: "DIR",
  words: `accelerate what runs in this cgroup${
    defaults.cgroup === undefined ? " (default: the whole host)" : ""
  }`,
  default: defaults.cgroup,
};

export const sockets: OptionDeclaration<"nonblocking" | "all"> = {
  value: "KIND",
  words: "which sockets to accelerate",
  choices: ["nonblocking", "all"],
  default: defaults.sockets,
};

export const unknown: OptionDeclaration<UnknownPrograms> = {
  value: "HOW",
  words: "what becomes of programs that are not known yet",
  choices: unknownPrograms,
  env: "MDA_UNKNOWN",
  default: defaults.unknown,
};

export const adopt: OptionDeclaration<boolean> = {
  words: "leave connections that are already open to TCP",
  default: true,
};

export const watch: OptionDeclaration<boolean | undefined> = {
  words: "reload when the configuration's file changes, as SIGHUP does",
};

export const drainTimeout: OptionDeclaration<number> = {
  value: "SECONDS",
  words: "how long a stop waits for programs that read late",
  parse: (text) => numberIn(text, /^\d+(\.\d+)?$/, 0, SECONDS_MAX),
  expects: `It is a number from 0 to ${SECONDS_MAX}.`,
  default: defaults.drainTimeout,
};

export const keep: OptionDeclaration<boolean | undefined> = {
  words: "leave acceleration on when it stops, as mda enable does",
};

export const maxConnections: OptionDeclaration<number | undefined> = {
  value: "COUNT",
  words: "how many can be accelerated at once (default: 131072)",
  parse: (text) => numberIn(text, /^\d+$/, 1, CONNECTIONS_MAX),
  expects: `It is a number from 1 to ${CONNECTIONS_MAX}.`,
};

export const daemon: OptionDeclaration<boolean | undefined> = {
  words: "go on in the background once connections are accelerated",
};

export const pidFile: OptionDeclaration<string | undefined> = {
  value: "FILE",
  words: `file for the process number (default of --daemon: ${defaults.pidFile})`,
};

export const logFile: OptionDeclaration<string | undefined> = {
  value: "FILE",
  words: "log to a file (default: standard error; of --daemon: the journal)",
};

export const logFormat: OptionDeclaration<"text" | "json"> = {
  value: "FORMAT",
  words: "how to log",
  choices: ["text", "json"],
  default: "text",
};

export const metrics: OptionDeclaration<MetricsAddress | undefined> = {
  value: "ADDR:PORT",
  words: "serve metrics for Prometheus over HTTP (:PORT for all addresses)",
  parse: parseMetricsAddress,
  expects: "It is as 127.0.0.1:9464, [::1]:9464, or :9464 for all addresses.",
};

export const web: OptionDeclaration<WebAddress | undefined> = {
  value: "ADDR:PORT",
  words: "serve a page that shows what it does (:PORT for this host only)",
  parse: parseWebAddress,
  expects: "It is as 127.0.0.1:9465, [::1]:9465, or :9465 for this host only.",
};

export const webTokenFile: OptionDeclaration<string | undefined> = {
  value: "FILE",
  words: "has the token that the page asks for: other addresses need one",
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

function numberIn(text: string, form: RegExp, least: number, most: number): number | undefined {
  const value = form.test(text) ? Number(text) : NaN;
  return value >= least && value <= most ? value : undefined;
}
