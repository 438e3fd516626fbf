import { checks } from "../checks/all.ts";
import { type Check, type Result, runCheck, type Subject, type Verdict, warn } from "../checks/check.ts";
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
  const skipped: Check[] = [];
  let mayLoad = true, mayTry = trial;
  for (const check of checks) {
    if (signal.aborted) return report;
    if (check.loads && !mayLoad) {
      skipped.push(check);
      continue;
    }
    const finding = await runCheck(check, options);
    note("host", { name: check.name, ...finding });
    if (finding.verdict === "FAIL" && check.name === "rights") mayLoad = mayTry = false;
    // Where a start would fail there is nothing to try.
    if (
      finding.verdict !== "OK" && check.name === "bpffs" ||
      finding.verdict === "FAIL" && check.name === "cgroup2"
    ) {
      mayTry = false;
    }
  }
  if (skipped.length > 0) {
    const names = skipped.map(({ name }) => name);
    note("host", {
      name: "not checked",
      ...warn(`${names.join(", ")}`, "see the remedy for rights", { names }),
    });
  }
  if (!trial || signal.aborted) return report;
  if (!mayTry) note("trial", { name: "trial", ...warn("not tried: see above", "what is said above") });
  else for await (const result of tryDataPlane(options, signal)) note("trial", result);
  return report;
}
