import { checkDescriptors } from "../../host/descriptors.ts";
import { reloadDataPlane, type ReloadOptions } from "../../plane/lifecycle/reload.ts";
import { print } from "../../output/print.ts";
import { plural } from "../../text/plural.ts";

/** Puts new rules in force. Returns the exit status. */
export async function reload(options: ReloadOptions): Promise<number> {
  checkDescriptors();
  const rules = await reloadDataPlane(options);
  print(`reloaded: ${rules === 0 ? "no rules, every local connection" : plural(rules, "rule")}\n`);
  return 0;
}
