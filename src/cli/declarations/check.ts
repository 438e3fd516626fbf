import { declare } from "./declaration.ts";
import { config, output } from "./options.ts";

export const check = declare({
  name: "check",
  words: "check a configuration and print its rules as understood",
  options: { config, output },
  text: ["Exits with 2 when there is a mistake, and prints all of them."],
  examples: [
    "mda check",
    "mda check --config ./mda.conf -o json",
  ],
  run: async (options) => (await import("../commands/check.ts")).check(options),
});
