import { checkVersion } from "../../state/found.ts";
import { findNeighbours } from "../../checks/neighbours/find.ts";
import { readStatus } from "../../views/status.ts";
import { type StatusReport, toTable } from "../../output/status_table.ts";
import { type Format, print, printAs } from "../../output/print.ts";

export interface StatusOptions {
  pinDir: string;
  output: Format;
}

/** Prints what the mda of a pin directory has done so far. Returns the exit status: 0 when it accelerates. */
export async function status({ pinDir, output }: StatusOptions): Promise<number> {
  await checkVersion("tell the status", pinDir);
  const status = readStatus(pinDir);
  const { enabled, cgroup } = status;
  const neighbours = enabled ? (await findNeighbours({ pinDir, cgroup })).found : [];
  const report: StatusReport = { ...status, neighbours };
  if (output === "table") print(toTable(report));
  else await printAs(output, report);
  return enabled ? 0 : 1;
}
