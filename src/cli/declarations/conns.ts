import { connsFormats } from "../../output/print.ts";
import { declare } from "./declaration.ts";
import { watchAgain, watchSeconds } from "./watch.ts";
import { filterText, shown } from "./filter.ts";
import { aboutStates } from "./paragraphs.ts";

export const conns = declare({
  name: "conns",
  words: "show connections, and why each is redirected or is not",
  options: {
    ...shown,
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
    aboutStates,
    `MSGS and BYTES are what was redirected, of both directions together. BYTCP is
how many messages went by TCP instead, and REASON why the last of them did, or
why the connection is not accelerated. IDLE is the time since the last message,
AGE since mda has had the connection, UNREAD the bytes that its programs have
yet to read. JOINED, with -o wide, is how mda came to have it: paired at its
handshake, or adopted later.`,
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
