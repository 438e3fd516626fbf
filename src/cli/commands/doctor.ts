import { subjectOf } from "../../checks/check.ts";
import { examine } from "../../doctor/doctor.ts";
import { runAsTrial } from "../../doctor/trial/program.ts";
import { checkPrivileges } from "../../host/kernel.ts";
import { geteuid } from "../../host/libc.ts";
import { configureLog } from "../../log/log.ts";
import { rowOf, summaryOf } from "../../output/doctor_table.ts";
import { type Format, print, printAs } from "../../output/print.ts";
import manifest from "../../../deno.json" with { type: "json" };

export interface DoctorOptions {
  pinDir: string;
  config: string;
  cgroup?: string;
  output: Format;
  /** Whether connections are tried. */
  trial: boolean;
}

/** Examines the host. Returns the exit status: 0 when nothing failed. */
export async function doctor({ pinDir, config, cgroup, output, trial }: DoctorOptions): Promise<number> {
  const asTrial = await runAsTrial();
  if (asTrial !== undefined) return asTrial;
  // Nothing of what follows could be seen.
  if (geteuid() !== 0) checkPrivileges();
  if (Deno.env.get("MDA_DEBUG") === "1") configureLog("text");
  const interruption = new AbortController();
  let interrupted: Deno.Signal | undefined;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      interrupted ??= signal;
      interruption.abort();
    });
  }
  const coloured = Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR");
  const report = await examine({
    ...subjectOf({ pinDir, config, cgroup }),
    trial,
    version: manifest.version,
    signal: interruption.signal,
    onResult: (check) => output === "table" && print(rowOf(check, coloured)),
  });
  if (interrupted) {
    throw new Error(`Cannot examine the host to the end: ${interrupted}; nothing is left of the trial`);
  }
  if (output === "table") print(summaryOf(report));
  else await printAs(output, report);
  return report.verdict === "FAIL" ? 1 : 0;
}
