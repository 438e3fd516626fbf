import { checkDescriptors } from "../../host/descriptors.ts";
import { enableDataPlane, type EnableOptions } from "../../plane/lifecycle/enable.ts";
import { inForce } from "../../config/in_force.ts";
import type { Configuration } from "../../config/load.ts";
import { longNameOf, settingNames, settingOf, type SomeSettings } from "../../config/settings.ts";
import { configureLog } from "../../log/log.ts";
import { print, printError } from "../../output/print.ts";
import { someMayWait } from "../../plane/lifecycle/waker.ts";
import { plural, rulesInForce } from "../../text/plural.ts";
import { visible } from "../../text/visible.ts";

/** What may be said of it: the rest of the file is for a process. */
const names = settingNames.filter((name) => !settingOf(name).needsProcess);

/** Accelerates without a process. Returns the exit status. */
export async function enable(
  options: Omit<EnableOptions, "rules">,
  { configuration, given }: { configuration: Configuration; given: SomeSettings },
): Promise<number> {
  configureLog("text");
  checkDescriptors();
  const { error } = inForce(configuration, given, { names });
  if (error) throw error;
  tellIgnored(configuration);
  const { rules, cgroup, found, adoption, someAreBehind } = await enableDataPlane({
    ...options,
    rules: configuration.rules,
  });
  const parts = [
    `${found === "same maps" ? "enabled anew" : "enabled"} for ${cgroup}`,
    rulesInForce(rules),
  ];
  if (adoption) parts.push(`${plural(adoption.adopted, "open connection")} adopted`);
  print(`${parts.join("; ")}\n`);
  if (someAreBehind) printError(`mda: ${someMayWait}\n`);
  const obstacle = adoption?.obstacle ?? adoption?.shortage?.message;
  if (obstacle) {
    printError(`mda: ${obstacle}; connections that are already open stay on TCP\n`);
  }
  if (adoption?.full) {
    printError(
      "mda: there is no room for more connections; disable, and enable with a larger --max-connections\n",
    );
  }
  return 0;
}

function tellIgnored({ file, settings }: Configuration): void {
  const ignored = [...settings].filter(([name]) => settingOf(name).needsProcess);
  if (ignored.length === 0) return;
  const lines = ignored.map(([name, { line }]) => `${longNameOf(name)} (line ${line})`).join(", ");
  printError(`mda: ignored in ${visible(file)}, as no process stays: set ${lines}\n`);
}
