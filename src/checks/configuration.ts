import { load } from "../config/load.ts";
import { plural } from "../text/plural.ts";
import { type Check, ok, warn } from "./check.ts";

export const configuration: Check = {
  name: "configuration",
  run({ config }) {
    if (!isThere(config)) {
      return warn(
        `${config} is not there, and mda run and mda enable read it`,
        "write one; an empty file accelerates every local connection",
        { path: config },
      );
    }
    const rules = load(config).length;
    return ok(`${config}: ${rules === 0 ? "no rules, every local connection" : plural(rules, "rule")}`, {
      path: config,
      rules,
    });
  },
};

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}
