import { printError } from "../../output/print.ts";
import { type Endpoint, parseEndpoint } from "../../rules/endpoint.ts";
import { declare, type OptionDeclaration } from "./declaration.ts";
import { filter, filterText } from "./filter.ts";
import { otherConfig, output } from "./options.ts";

/** What the kernel gives nobody. */
const OWNER_MAX = 2 ** 32 - 1;
const USAGE = 2;

const end: OptionDeclaration<Endpoint[] | undefined> = {
  isList: true,
  value: "ADDR:PORT",
  words: "",
  parse: (text) => {
    const endpoint = parseEndpoint(text);
    return endpoint && [endpoint];
  },
  expects: "It is as 10.0.0.1, 10.0.0.1:80, ::1 or [::1]:80.",
};

const owners: OptionDeclaration<number[] | undefined> = {
  isList: true,
  words: "",
  parse: (text) => {
    const all = text.split(",").map((one) => /^\d{1,10}$/.test(one) ? Number(one) : NaN);
    return all.every((id) => id < OWNER_MAX) ? all : undefined;
  },
  expects: "It is a number, as id prints it.",
};

export const explain = declare({
  name: "explain",
  words: "say step by step why connections are accelerated or not",
  options: {
    ...filter,
    src: { ...end, words: "ask about a connection from here; again for its other names" },
    dst: { ...end, words: "and to here; a port may be left out" },
    uid: { ...owners, value: "UID", words: "users of the sockets of --src,--dst" },
    gid: { ...owners, value: "GID", words: "groups of the sockets of --src,--dst" },
    config: otherConfig,
    output,
  },
  text: [
    `Without --src and --dst it explains the connections that are there: each step
of the way, the first obstacle and what would remove it. Connections that are
alike are told once. When there is none now, it tells of who listens, and what
was refused there since the start.`,
    `With --src and --dst it says of every rule whether it matches such a connection,
and if not, the first option that does not. With --config as well it needs no
mda that runs.`,
    filterText,
    `Exits with 0 when nothing stands in the way of any, with 1 when something does
or there is no such connection.`,
  ],
  examples: [
    "mda explain --port 6379",
    "mda explain --pid 812",
    "mda explain --src 10.244.1.2 --dst 10.244.1.3:15006 --uid 1337",
    "mda explain --src ::1 --dst [::1]:80 --config ./new.conf",
  ],
  run: async (options) => {
    const mistake = mistakeIn(options);
    if (mistake) {
      printError(`mda: ${mistake}\n`);
      return USAGE;
    }
    return await (await import("../commands/explain.ts")).explain(options);
  },
});

function mistakeIn(
  { src, dst, uid = [], gid = [] }: { src?: unknown; dst?: unknown; uid?: number[]; gid?: number[] },
): string | undefined {
  if (!src !== !dst) return `--${src ? "dst" : "src"} is missing: rules look at both ends`;
  if (!src && uid.length + gid.length > 0) {
    return "--uid and --gid go with --src and --dst; see --uid-owner and --gid-owner";
  }
  if (uid.length > 2 || gid.length > 2) {
    return "a connection has two ends, and so two users and groups at most";
  }
}
