import { declare } from "./declaration.ts";
import { filterText, shown } from "./filter.ts";
import { count } from "./options.ts";
import { aboutStates } from "./paragraphs.ts";
import { readInterval } from "./watch.ts";

const DELAY_SECONDS = 2;

export const top = declare({
  name: "top",
  words: "show connections live, with messages and bytes a second",
  options: {
    ...shown,
    tree: {
      value: "BY",
      words: "group connections by what they belong to",
      choices: ["program", "pod", "off"] as const,
      default: "off",
    },
    delay: {
      letter: "d",
      value: "SECONDS",
      words: "how long between two readings",
      parse: readInterval,
      expects: "It is a number from 0.1 to 3600.",
      default: DELAY_SECONDS,
    },
    count: { ...count, letter: "n", words: "print so many readings, one after the other, and end" },
  },
  text: [
    filterText,
    aboutStates,
    `Keys are those of htop: F1 lists them, F3 filters, F5 groups by program or pod,
F6 sorts, space pauses, q quits. MSG/S and BYTE/S are what is redirected, of
both directions together, TCP/S the messages that go by TCP instead.`,
    `Where there is no terminal it prints one reading after the other, as with
--count. NO_COLOR=1 turns colours off.`,
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
