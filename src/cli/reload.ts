import { checkDescriptors } from "../host/descriptors.ts";
import { reloadDataPlane, type ReloadOptions } from "../plane/reload.ts";
import { print } from "./output.ts";
import { plural } from "./words.ts";

/** Puts new rules in force. Returns the exit status. */
export async function reload(options: ReloadOptions): Promise<number> {
  checkDescriptors();
  const rules = await reloadDataPlane(options);
  print(`reloaded: ${rules === 0 ? "no rules, every local connection" : plural(rules, "rule")}\n`);
  return 0;
}
