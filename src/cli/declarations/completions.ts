import { print } from "../../output/print.ts";
import { type Shell, shells } from "../commands/completions.ts";
import { declare } from "./declaration.ts";

export const completions = declare({
  name: "completions",
  words: "print the completions for a shell",
  argument: { name: "SHELL", words: "whose completions", choices: shells },
  examples: [
    "mda completions bash > /etc/bash_completion.d/mda",
    "mda completions zsh > /usr/share/zsh/site-functions/_mda",
    "mda completions fish > /etc/fish/completions/mda.fish",
  ],
  run: async (_options, { argument, program }) => {
    const { completions } = await import("../commands/completions.ts");
    print(completions(argument as Shell, program));
    return 0;
  },
});
