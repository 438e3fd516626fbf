import { inForce, type Said } from "../../config/in_force.ts";
import { printRules, toPlainRule } from "../../config/print.ts";
import { printSettings, toPlainSettings } from "../../config/print_settings.ts";
import { type Format, print, printAs } from "../../output/print.ts";

export interface CheckOptions {
  config: string;
  output: Format;
}

/** Prints what holds by a configuration, and its rules as understood. Returns the exit status. */
export async function check(
  { config, output }: CheckOptions,
  { configuration, given }: Said,
): Promise<number> {
  const held = inForce(configuration, given, { mayBeOurs: true });
  if (held.error) throw held.error;
  const { rules } = configuration;
  if (output === "table") {
    print(`${printSettings(held, configuration)}\n`);
    // A comment, as everything that is printed here is a configuration again.
    print(rules.length > 0 ? printRules(rules) : "# no rule: every local connection is accelerated\n");
  } else {
    await printAs(output, {
      config,
      settings: toPlainSettings(held, configuration),
      rules: rules.map(toPlainRule),
    });
  }
  return 0;
}
