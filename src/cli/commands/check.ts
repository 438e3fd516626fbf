import { load } from "../../config/load.ts";
import { printRules, toPlainRule } from "../../config/print.ts";
import { type Format, print, printAs } from "../../output/print.ts";

export interface CheckOptions {
  config: string;
  output: Format;
}

/** Reads a configuration and prints its rules as understood. Returns the exit status. */
export async function check({ config, output }: CheckOptions): Promise<number> {
  const rules = load(config);
  if (output === "table") {
    // A comment, as everything that is printed here is a configuration again.
    print(rules.length > 0 ? printRules(rules) : "# no rule: every local connection is accelerated\n");
  } else {
    await printAs(output, { config, rules: rules.map(toPlainRule) });
  }
  return 0;
}
