import { checks } from "../checks/all.ts";
import { type Result, runCheck, type Subject, type Verdict, warn } from "../checks/check.ts";
import { tryDataPlane } from "./trial/trial.ts";

/** What `mda doctor -o json` prints: names stay, new ones may come. */
export interface Report {
  /** The worst of all. */
  verdict: Verdict;
  version: string;
  kernel: string;
  /** In the order in which they were made. */
  checks: ReportedCheck[];
}

export interface ReportedCheck {
  name: string;
  /** What the host is like, or what was tried. */
  part: "host" | "trial";
  verdict: Verdict;
  /** In words. */
  found: string;
  /** Each of those that it is about, in words. */
  details: string[];
  /** What to do; null when there is nothing, or nothing known. */
  remedy: string | null;
  /** What was found, for programs; differs from check to check. */
  facts: Record<string, unknown>;
}

export interface ExamineOptions extends Subject {
  /** Whether connections are tried. */
  trial: boolean;
  version: string;
  /** Ends it before its time. */
  signal: AbortSignal;
  /** Is told of each as soon as it is known. */
  onResult?: (check: ReportedCheck) => void;
}

const severity: Record<Verdict, number> = { OK: 0, WARN: 1, FAIL: 2 };

/** With these verdicts of a check a start would fail, or change the host. */
const neededToTry: Record<string, Verdict[]> = {
  rights: ["FAIL"],
  cgroup2: ["FAIL"],
  bpffs: ["FAIL", "WARN"],
};

/** Makes every check that `run` and `enable` make, and some more; then tries the real thing. */
export async function examine(options: ExamineOptions): Promise<Report> {
  const { trial, version, signal, onResult = () => {} } = options;
  const report: Report = { verdict: "OK", version, kernel: Deno.osRelease(), checks: [] };
  const note = (part: "host" | "trial", { name, verdict, found, details, remedy, facts }: Result) => {
    const check = {
      name,
      part,
      verdict,
      found,
      details: details ?? [],
      remedy: remedy ?? null,
      facts: facts ?? {},
    };
    if (severity[verdict] > severity[report.verdict]) report.verdict = verdict;
    report.checks.push(check);
    onResult(check);
  };
  const skipped: string[] = [];
  /** What a data plane cannot be tried without. */
  const missing: string[] = [];
  for (const check of checks) {
    if (signal.aborted) return report;
    if (check.loads && missing.includes("rights")) {
      skipped.push(check.name);
      continue;
    }
    const finding = await runCheck(check, options);
    note("host", { name: check.name, ...finding });
    if (neededToTry[check.name]?.includes(finding.verdict)) missing.push(check.name);
  }
  const notDone = (part: "host" | "trial", name: string, what: string) =>
    note(part, { name, ...warn(`${what}: ${missing.join(", ")} lacking`, "see there") });
  if (skipped.length > 0) notDone("host", "not checked", skipped.join(", "));
  if (!trial || signal.aborted) return report;
  if (missing.length > 0) notDone("trial", "trial", "not tried");
  else for await (const result of tryDataPlane(options, signal)) note("trial", result);
  return report;
}
