import { firstLine } from "../text/lines.ts";
import type { KernelFeatures } from "./features.ts";
import { probeKernel } from "./features.ts";

/** FAIL: mda does not work, or not as it promises. WARN: it does, with less than it could have. */
export type Verdict = "OK" | "WARN" | "FAIL";

/** What a check has found. */
export interface Finding {
  verdict: Verdict;
  /** In words, without a full stop. */
  found: string;
  /** Each of those that it is about, in words. */
  details?: string[];
  /** What to do, when it is not OK and that is known. */
  remedy?: string;
  /** The same for programs. */
  facts?: Record<string, unknown>;
}

/** What a check of that name has found. */
export type Result = Finding & { name: string };

/** What the checks are about. */
export interface Subject {
  pinDir: string;
  /** The cgroup's directory that connections are to be accelerated in; the whole host when absent. */
  cgroup?: string;
  /** The configuration's file. */
  config: string;
  /** What the kernel can do: tried once. */
  features(): KernelFeatures;
}

export interface Check {
  /** For people and programs; it stays. */
  name: string;
  /** Whether it takes the rights that loading BPF programs takes. */
  loads?: boolean;
  run(subject: Subject): Finding | Promise<Finding>;
}

export const ok = (found: string, facts?: Finding["facts"]): Finding => ({ verdict: "OK", found, facts });

export const warn = (found: string, remedy?: string, facts?: Finding["facts"]): Finding => ({
  verdict: "WARN",
  found,
  remedy,
  facts,
});

export const fail = (found: string, remedy?: string, facts?: Finding["facts"]): Finding => ({
  verdict: "FAIL",
  found,
  remedy,
  facts,
});

/** What an error says, as `run` and `enable` would end with it. */
export function failure(error: unknown, verdict: Verdict = "FAIL"): Finding {
  const { message, remedy } = error as Error & { remedy?: string };
  const first = firstLine(message);
  const found = remedy && first.endsWith(remedy) ? first.slice(0, -remedy.length).replace(/; $/, "") : first;
  const rest = message.slice(first.length).trim();
  return { verdict, found, remedy, facts: rest ? { said: rest } : undefined };
}

/** Runs a check that may throw what `run` and `enable` would end with. */
export async function runCheck(check: Check, subject: Subject): Promise<Finding> {
  try {
    return await check.run(subject);
  } catch (error) {
    return failure(error);
  }
}

/** The subject of checks, for which the kernel is tried once. */
export function subjectOf(options: Omit<Subject, "features">): Subject {
  let features: KernelFeatures | undefined;
  return { ...options, features: () => features ??= probeKernel() };
}
