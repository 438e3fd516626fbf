import { declare } from "./declaration.ts";
import { output } from "./options.ts";

export const status = declare({
  name: "status",
  words: "show what mda has done so far",
  options: { output },
  text: ["Exits with 0 when connections are accelerated, with 1 when not."],
  examples: [
    "mda status",
    "mda status -o json | jq .redirected.bytes",
  ],
  run: async (options) => (await import("../commands/status.ts")).status(options),
});
