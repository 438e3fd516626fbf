import { checkVersion } from "../../state/found.ts";
import { ratesBetween } from "../../views/growth.ts";
import { keptOff } from "../../views/kept_off.ts";
import { readStatus, type Status } from "../../views/status.ts";
import { findNeighbours } from "../../checks/neighbours/find.ts";
import { type StatusReport, toTable } from "../../output/status_table.ts";
import { type Format, print, printAs } from "../../output/print.ts";

export interface StatusOptions {
  pinDir: string;
  output: Format;
  /** Again after so many seconds, with rates, until a signal. */
  watch?: number;
}

/** Prints what the mda of a pin directory has done so far. Returns the exit status: 0 when it accelerates. */
export async function status(options: StatusOptions): Promise<number> {
  const { pinDir, watch } = options;
  let before: { status: Status; ms: number } | undefined;
  for (;;) {
    await checkVersion("tell the status", pinDir);
    const status = readStatus(pinDir), ms = performance.now();
    await show(status, options, before && ratesBetween(before.status, status, (ms - before.ms) / 1000));
    if (watch === undefined) return status.enabled ? 0 : 1;
    before = { status, ms };
    await new Promise((resolve) => setTimeout(resolve, watch * 1000));
  }
}

async function show(
  status: Status,
  { pinDir, output, watch }: StatusOptions,
  rates: StatusReport["rates"],
): Promise<void> {
  const { enabled, cgroup } = status;
  const neighbours = enabled ? (await findNeighbours({ pinDir, cgroup })).found : [];
  const report: StatusReport = { ...status, neighbours, kept_off: keptOff(status), ...rates && { rates } };
  if (output !== "table") return void await printAs(output, report);
  const clear = watch !== undefined && Deno.stdout.isTerminal() ? "\x1b[H\x1b[2J" : "";
  print(`${clear}${toTable(report)}${watch === undefined || clear ? "" : "\n"}`);
}
