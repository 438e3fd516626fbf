import { type Facts, type Found, notReached, type Setting, type Step, type StepName } from "./step.ts";
import { cgroup, inside, local, mode, programs, protocol, rules, sends, worth } from "./step_checks.ts";
import type { Verdict } from "./why.ts";

/** Where each reason of those that have left, or were refused, belongs; all others are of the sockhash. */
const stepsOf: Partial<Record<string, StepName>> = {
  not_local: "local",
  protocol: "protocol",
  kernel_socket: "protocol",
  other_sockmap: "protocol",
  blocking_client: "mode",
  blocking_listener: "mode",
  blocking: "mode",
  return_rule: "rules",
  no_accept_rule: "rules",
  by_rule: "rules",
  on_request: "rules",
  short_lived: "worth",
  bulk: "worth",
  turns_blocking: "worth",
  habit: "programs",
  by_habit: "programs",
  unknown: "programs",
};

/** Each step of a connection's way: those that are there to be seen also behind an obstacle. */
export function stepsFor(facts: Facts): Step[] {
  const { isInside, verdict } = facts;
  const steps: Step[] = [
    { step: "local", ...local(facts) },
    { step: "cgroup", ...cgroup(facts) },
    { step: "protocol", ...protocol(facts) },
    { step: "mode", ...mode(facts) },
    { step: "rules", ...rules(facts) },
    { step: "worth", ...worth(facts) },
    { step: "programs", ...programs(facts) },
  ];
  if (isInside) {
    steps.push(
      { step: "sockhash", ...inside(facts.lanes) },
      { step: "client sends", ...sends(facts.lanes.client) },
      { step: "server sends", ...sends(facts.lanes.server) },
    );
    return verdict?.state === "leaving" ? withRecorded(steps, verdict, "it is about to leave") : steps;
  }
  if (!verdict) return steps;
  const last: Step[] = [
    { step: "sockhash", ...notReached },
    { step: "client sends", ...notReached },
    { step: "server sends", ...notReached },
  ];
  const recorded = verdict.state === "refused" || verdict.state === "left";
  if (recorded && verdict.reason) {
    return withRecorded(
      [...steps, ...last],
      verdict,
      verdict.state === "left" ? "it has left" : "at its handshake",
    );
  }
  if (!steps.some(({ state }) => state === "obstacle")) {
    Object.assign(last[0], waits(facts.setting));
  }
  return [...steps, ...last];
}

/** The first of the obstacles. */
export function firstObstacle(steps: Step[]): Step | null {
  const first = steps.find(({ state }) => state === "obstacle");
  return first ? { ...first } : null;
}

/**
 * Adds why it was refused, or has left. What stands in its way now is worth more: the reason may have gone since, or what keeps it from
 * being adopted is another one.
 */
function withRecorded(steps: Step[], { reason, why, remedy }: Verdict, when: string): Step[] {
  const place = stepsOf[reason!.split(" ")[1]] ?? "sockhash";
  const step = steps.find(({ step }) => step === place)!;
  const said = `${when}: ${why}`;
  if (step.state === "obstacle") return steps;
  if (steps.some(({ state }) => state === "obstacle") && step.state === "ok") {
    step.words += `; ${said}`;
  } else {
    const words = step.state === "ok" && step.words ? `${said}; now: ${step.words}` : said;
    Object.assign(step, { state: "obstacle", words, reason, remedy: remedy ?? null });
  }
  return steps;
}

function waits({ hasProcess }: Setting): Found {
  return {
    state: "obstacle",
    words: "it was open before mda came, or has left; nothing keeps it from being adopted",
    reason: null,
    remedy: hasProcess
      ? "nothing: mda run adopts it within seconds, unless it was started with --no-adopt"
      : "mda run, which adopts what is open; or mda reload, which does once",
  };
}
