/** The options of commands that take a filter of connections. */
import { sortKeys, type State, states } from "../../views/words.ts";
import type { OptionDeclaration } from "./declaration.ts";

type List<T = string> = OptionDeclaration<T[] | undefined>;

const texts = { isList: true, parse: (text: string) => text.split(",") } as const;

const ip: List = {
  ...texts,
  letter: "i",
  value: "ADDRESS",
  words: "with this address, or one of this CIDR block, at an end",
};
const port: List = {
  ...texts,
  letter: "p",
  value: "PORT",
  words: "with this port, or one of this range, at an end",
};
const uidOwner: List = { ...texts, letter: "u", value: "UID", words: "with a socket of this user at an end" };
const gidOwner: List = {
  ...texts,
  letter: "g",
  value: "GID",
  words: "with a socket of this group at an end",
};
const program: List = { ...texts, value: "NAME", words: "with an end in a program whose name begins so" };
const pod: List = { ...texts, value: "ID", words: "with an end in this pod, container or systemd unit" };

const pid: List<number> = {
  isList: true,
  value: "PID",
  words: "with an end in this process",
  parse: (text) => {
    const all = text.split(",");
    return all.every((one) => /^[1-9]\d{0,9}$/.test(one)) ? all.map(Number) : undefined;
  },
  expects: "It is a process's number.",
};

const state: List<State> = {
  isList: true,
  value: "STATE",
  words: `in this state: ${states.join(", ")}`,
  parse: (text) => {
    const all = text.split(",");
    return all.every((one): one is State => (states as readonly string[]).includes(one)) ? all : undefined;
  },
  expects: `It is one of ${states.join(", ")}.`,
};

/** What filters a connection as rules do. */
export const ruleFilter = { ip, port, uidOwner, gidOwner };

/** The same, and by its programs. */
export const programFilter = { ...ruleFilter, program };

/** All filters of connections that are there. */
export const filter = { ...programFilter, pid, pod, state };

/** Which connections are shown, and in which order. */
export const shown = {
  ...filter,
  all: {
    letter: "a",
    words: "also those not accelerated; those outside of mda's cgroup only with a filter",
  },
  sort: { value: "KEY", words: "what to sort by", choices: sortKeys, default: "bytes" },
} as const;

export const filterText = `A connection is shown when it matches every kind of filter given, each at either
end. A filter takes several values, separated by commas or by repeating it, one
of which must match. --pod takes the UID of a pod, the id of a container, the
name of a systemd unit, or the beginning of one.`;
