import { sortKeys } from "../../views/words.ts";

import { declare } from "./declaration.ts";
import { filter, filterText } from "./filter.ts";
import { readInterval } from "./watch.ts";

const DELAY_SECONDS = 2;

export const top = declare({
  name: "top",
  words: "show what connections do, live, with rates",
  options: {
    ...filter,
    all: { letter: "a", words: "also those that are not accelerated" },
    sort: { value: "KEY", words: "what to sort by", choices: sortKeys, default: "bytes" },
    tree: {
      value: "BY",
      words: "connections below what they belong to",
      choices: ["program", "pod", "off"] as const,
      default: "off",
    },
    delay: {
      letter: "d",
      value: "SECONDS",
      words: "between two readings",
      parse: readInterval,
      expects: "It is a number from 0.1 to 3600.",
      default: DELAY_SECONDS,
    },
    count: {
      letter: "n",
      value: "COUNT",
      words: "print so many readings, and end",
      parse: (text: string) => /^[1-9]\d{0,9}$/.test(text) ? Number(text) : undefined,
      expects: "It is a number from 1 on.",
    },
  },
  text: [
    filterText,
    `Keys are those of htop: F1 has them all, F3 filters, F5 makes a tree of programs
or pods, F6 sorts, space pauses, q ends it. MSG/S and BYTE/S are what goes past
TCP in both directions, TCP/S the messages that do not.`,
    `With --count, or where there is no terminal, it prints one reading after the
other. NO_COLOR=1 turns colours off.`,
  ],
  examples: [
    "mda top",
    "mda top --program nginx --sort messages",
    "mda top --tree pod --delay 5",
    "mda top --count 1 > top.txt",
  ],
  run: async (options) =>
    (await import("../commands/top.ts")).top(options as import("../commands/top.ts").TopOptions),
});
