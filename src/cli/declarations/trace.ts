import { declare } from "./declaration.ts";
import { programFilter } from "./filter.ts";

export const trace = declare({
  name: "trace",
  words: "print what happens to connections, as it happens",
  options: {
    ...programFilter,
    count: {
      letter: "n",
      value: "COUNT",
      words: "end after so many events",
      parse: (text: string) => /^[1-9]\d{0,9}$/.test(text) ? Number(text) : undefined,
      expects: "It is a number from 1 on.",
    },
    output: {
      letter: "o",
      value: "FORMAT",
      words: "a line of text each, or a line of JSON",
      choices: ["lines", "json"] as const,
      default: "lines" as const,
    },
  },
  text: [
    `Events are: paired and adopted, when both ends have entered; refused, when a
connection was left to TCP; left and handed over, when an end goes back to TCP;
ended, with what each end has sent, "client > server". Events that were lost for
want of room are counted on standard error. While nobody traces, nothing is
written, and one process can at a time.`,
  ],
  examples: [
    "mda trace",
    "mda trace --port 6379",
    "mda trace --program nginx -o json | jq .reason",
  ],
  run: async (options) =>
    (await import("../commands/trace.ts")).trace(options as import("../commands/trace.ts").TraceOptions),
});
