import { connsFormats } from "../../output/print.ts";
import { sortKeys } from "../../views/words.ts";
import { declare } from "./declaration.ts";
import { watchAgain, watchSeconds } from "./watch.ts";
import { filter, filterText } from "./filter.ts";

export const conns = declare({
  name: "conns",
  words: "show connections, and why each is redirected or is not",
  options: {
    ...filter,
    all: {
      letter: "a",
      words: "also those that are not accelerated; outside of the cgroup with a filter only",
    },
    sort: { value: "KEY", words: "what to sort by", choices: sortKeys, default: "bytes" },
    watch: watchAgain,
    output: {
      letter: "o",
      value: "FORMAT",
      words: "how to print",
      choices: connsFormats,
      default: "table",
    },
  },
  text: [
    filterText,
    `A row is a connection. MSGS and BYTES are those of both directions that went
past TCP, BYTCP the messages that did not, REASON why the last of them did not,
IDLE the time since the last message.`,
  ],
  examples: [
    "mda conns",
    "mda conns --program nginx --state passed",
    "mda conns --all --port 6379 -o wide",
    "mda conns -w --sort messages",
  ],
  run: async ({ watch, ...options }) =>
    (await import("../commands/conns.ts")).conns({
      ...options as Omit<import("../commands/conns.ts").ConnsOptions, "watch">,
      watch: watchSeconds(watch),
    }),
});
