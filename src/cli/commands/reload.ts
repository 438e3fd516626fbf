import type { SomeSettings } from "../../config/settings.ts";
import { checkDescriptors } from "../../host/descriptors.ts";
import { reloadDataPlane, type ReloadOptions } from "../../plane/lifecycle/reload.ts";
import { print } from "../../output/print.ts";
import { rulesInForce } from "../../text/plural.ts";

/** Puts new rules in force. Returns the exit status. */
export async function reload(options: Omit<ReloadOptions, "given">, given: SomeSettings): Promise<number> {
  checkDescriptors();
  const rules = await reloadDataPlane({ ...options, given });
  print(`reloaded: ${rulesInForce(rules)}\n`);
  return 0;
}
