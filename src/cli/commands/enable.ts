import { checkDescriptors } from "../../host/descriptors.ts";
import { enableDataPlane, type EnableOptions } from "../../plane/lifecycle/enable.ts";
import { configureLog } from "../../log/log.ts";
import { print, printError } from "../../output/print.ts";
import { plural, rulesInForce } from "../../text/plural.ts";

/** Accelerates without a process. Returns the exit status. */
export async function enable(options: EnableOptions): Promise<number> {
  configureLog("text");
  checkDescriptors();
  const { rules, cgroup, found, adoption } = await enableDataPlane(options);
  const parts = [
    `${found === "same maps" ? "enabled anew" : "enabled"} for ${cgroup}`,
    rulesInForce(rules),
  ];
  if (adoption) parts.push(`${plural(adoption.adopted, "open connection")} adopted`);
  print(`${parts.join("; ")}\n`);
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
