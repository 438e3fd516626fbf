import { subjectOf } from "../../checks/check.ts";
import { examine } from "../../doctor/doctor.ts";
import { runAsTrial } from "../../doctor/trial/program.ts";
import { checkPrivileges } from "../../host/kernel.ts";
import { geteuid } from "../../host/libc/mod.ts";
import { configureLog } from "../../log/log.ts";
import { rowOf, summaryOf } from "../../output/doctor_table.ts";
import { type Format, print, printAs, printError } from "../../output/print.ts";
import { versionText } from "./version.ts";
import manifest from "../../../deno.json" with { type: "json" };

export interface DoctorOptions {
  pinDir: string;
  config: string;
  cgroup?: string;
  output: Format;
  /** Whether connections are tried. */
  trial: boolean;
  /** Where to put what goes into a report. */
  bundle?: string;
  /** Whether addresses and names are replaced in it. */
  redact: boolean;
}

/** Examines the host. Returns the exit status: 0 when nothing failed. */
export async function doctor(options: DoctorOptions): Promise<number> {
  const asTrial = await runAsTrial();
  if (asTrial !== undefined) return asTrial;
  // Nothing of what follows could be seen.
  if (geteuid() !== 0) checkPrivileges();
  const { pinDir, config, cgroup, output, trial } = options;
  using bundle = options.bundle === undefined ? undefined : new BundleFile(options.bundle);
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
  if (bundle) {
    const { makeBundle } = await import("../../doctor/bundle/bundle.ts");
    const { redact } = options;
    bundle.write(await makeBundle({ report, pinDir, config, version: versionText(), redact }));
    printError(`mda: wrote ${bundle.path}; look it through before you send it\n`);
  }
  return report.verdict === "FAIL" ? 1 : 0;
}

/** A file that is made before it is known what is in it: where it cannot be, nothing is done. Without a content it goes. */
class BundleFile implements Disposable {
  readonly #file: Deno.FsFile;
  #written = false;

  constructor(readonly path: string) {
    try {
      this.#file = Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
    } catch (error) {
      throw new Error(`Cannot write the bundle ${path}: ${(error as Error).message}`);
    }
  }

  write(bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0;) rest = rest.subarray(this.#file.writeSync(rest));
    this.#written = true;
  }

  [Symbol.dispose](): void {
    this.#file.close();
    if (!this.#written) Deno.removeSync(this.path);
  }
}
