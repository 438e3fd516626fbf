import { declare } from "./declaration.ts";
import { programFilter } from "./filter.ts";
import { count } from "./options.ts";

export const trace = declare({
  name: "trace",
  words: "print what mda does with connections, as it happens",
  options: {
    ...programFilter,
    count: { ...count, letter: "n", words: "end after so many events" },
    output: {
      letter: "o",
      value: "FORMAT",
      words: "a line of text each, or a line of JSON",
      choices: ["lines", "json"] as const,
      default: "lines" as const,
    },
  },
  text: [
    `Events are: paired (a new connection is accelerated), adopted (one that was open
already is), refused (a connection stays on TCP), left and handed over (an end
goes back to TCP), ended (it is closed, with what the client and the server have
sent). Events that came too fast to be printed are counted on standard error.
Only one mda trace can run at a time.`,
  ],
  examples: [
    "mda trace",
    "mda trace --port 6379",
    "mda trace --program nginx -o json | jq .reason",
  ],
  run: async (options) =>
    (await import("../commands/trace.ts")).trace(options as import("../commands/trace.ts").TraceOptions),
});
