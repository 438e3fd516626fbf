import { declare } from "./declaration.ts";
import { config, output } from "./options.ts";

export const check = declare({
  name: "check",
  words: "check a configuration and print what holds by it",
  options: { config, output },
  text: [
    `\
Prints every setting with who says it, the command line, the environment, a line
of the file or nobody, and the rules as understood: a configuration again.`,
    "Exits with 2 when there is a mistake, and prints all of them.",
  ],
  examples: [
    "mda check",
    "mda check --config ./mda.conf -o json",
  ],
  run: async (options, { said }) => (await import("../commands/check.ts")).check(options, said),
});
