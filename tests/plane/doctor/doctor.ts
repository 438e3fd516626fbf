/** `mda doctor` as a test runs it. */
import assert from "node:assert/strict";
import type { Report, ReportedCheck } from "../../../src/doctor/doctor.ts";
import { confined, type Confinement } from "../../lab/confined.ts";
import type { Cgroup } from "../../lab/cgroup.ts";
import { binary, newPinDir, writeConfig } from "../../lab/mda.ts";
import { type Output, type Place, tryRun } from "../../lab/program.ts";

const timeoutMs = 60_000;

export interface DoctorOptions extends Confinement {
  /** Below which the trial is; the whole host when absent. */
  cgroup?: Cgroup;
  pinDir?: string;
  /** The text of the configuration. */
  config?: string;
  args?: string[];
  place?: Place;
  env?: Record<string, string>;
  /** With a terminal for its output, which gets what standard error has as well. */
  terminal?: boolean;
}

/** Runs it to its end, whatever that is. */
export async function doctor(options: DoctorOptions = {}): Promise<Output> {
  const { cgroup, pinDir = newPinDir(), config = "", args = [], place = {}, env, terminal, ...less } =
    options;
  const file = writeConfig(config);
  try {
    const given = cgroup ? ["--cgroup", cgroup.path] : [];
    const command = [binary, "doctor", "--pin-dir", pinDir, "--config", file, ...given, ...args];
    const words = terminal ? ["script", "-qec", command.join(" "), "/dev/null"] : command;
    return await tryRun(place, confined(less, words), { timeoutMs, env });
  } finally {
    Deno.removeSync(file);
  }
}

/** Runs it, and returns what it has found; only a FAIL makes its exit status 1. */
export async function examine(options: DoctorOptions = {}): Promise<Report> {
  const { code, stdout, stderr } = await doctor({ ...options, args: [...options.args ?? [], "-o", "json"] });
  assert.match(stdout, /^\{/, stderr);
  const report: Report = JSON.parse(stdout);
  assert.equal(code, report.verdict === "FAIL" ? 1 : 0, stdout);
  return report;
}

export function checkNamed({ checks }: Report, name: string): ReportedCheck {
  const found = checks.filter((check) => check.name === name);
  assert.equal(found.length, 1, `${name} among ${checks.map(({ name }) => name)}`);
  return found[0];
}

/** Looks that a check is not in order, and says so with a remedy. */
export function assertComplains(report: Report, name: string, verdict: "WARN" | "FAIL", found: RegExp): void {
  const check = checkNamed(report, name);
  assert.equal(check.verdict, verdict, JSON.stringify(check));
  assert.match(check.found, found);
  assert.ok(check.remedy, `${name} has no remedy`);
}
