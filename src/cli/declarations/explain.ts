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
  words: "explain why connections are accelerated or not",
  options: {
    ...filter,
    src: { ...end, words: "explain one from this end, even if there is none; again for its name behind NAT" },
    dst: { ...end, words: "the other end of --src; the port may be left out" },
    uid: { ...owners, value: "UID", words: "the users who own the sockets of --src and --dst" },
    gid: { ...owners, value: "GID", words: "the groups that own the sockets of --src and --dst" },
    config: otherConfig,
    output,
  },
  text: [
    `Without --src and --dst it explains the connections that are open: every step
that a connection has to pass, the first obstacle, and what would remove it.
Connections that are alike are explained once. When none is open, it says who
listens there, and what was refused there since mda started.`,
    `With --src and --dst it says of every rule whether it would match such a
connection, and if not, which option does not. With --config as well, mda need
not be running.`,
    filterText,
    `Exits with 0 when there is no obstacle for any of them, with 1 when there is
one, or no such connection.`,
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
