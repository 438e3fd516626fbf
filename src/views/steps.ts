import { enums } from "../generated/layouts.ts";
import { reasons } from "../generated/reasons.ts";
import type { UnknownPrograms } from "../config/unknown.ts";
import type { ExplainedRules } from "./explained_rules.ts";
import { habitWords } from "./habits.ts";
import type { ListedLane } from "./lister.ts";
import { named, reasonNamed, type Verdict } from "./why.ts";
import type { Past } from "./worth.ts";

const { HABIT_UNKNOWN, HABIT_RECEIVES } = enums.habit;
const { CODE_SPLICES } = enums.in_code;
const { PASSED_REFRESH, PASSED_ACKNOWLEDGING } = enums.pass;

/** What a connection goes through until its messages are redirected, in this order. */
export type StepName =
  | "local"
  | "cgroup"
  | "protocol"
  | "mode"
  | "rules"
  | "worth"
  | "programs"
  | "sockhash"
  | "client sends"
  | "server sends";

/** `open`: it cannot be told from here, or not yet. */
export type StepState = "ok" | "obstacle" | "open" | "not reached";

export interface Step {
  step: StepName;
  state: StepState;
  words: string;
  /** Of an obstacle, as `mda conns` names it; null when it has no name there. */
  reason: string | null;
  /** Of an obstacle: what would remove it. */
  remedy: string | null;
}

/** An end of a connection, a listener, or a program that would be one. */
export interface EndFacts {
  /** `nginx[812]` */
  who: string;
  inCgroup: boolean;
  blocking: boolean;
  /** MPTCP or a ULP. */
  protocol: boolean;
  isKernels: boolean;
  inSockmap: boolean;
  /** enum habit */
  habit: number;
  /** enum in_code, of its program; 0 when that is not known. */
  inCode: number;
  /** Messages that its program has read while its habit was not known. */
  messages: number;
}

/** How a data plane was started. */
export interface Setting {
  cgroup: string;
  allSockets: boolean;
  unknown: UnknownPrograms;
  /** Where it is seen what programs do; `none`: nowhere. */
  hooks: string;
  /** Whether a process of mda runs, which adopts. */
  hasProcess: boolean;
}

/** What is known of a connection. Ends are undefined where no process is seen that has them. */
export interface Facts {
  setting: Setting;
  /** Undefined for a connection that is asked about and not there. */
  verdict?: Verdict;
  /** Whether both ends are in the sockhash. */
  isInside: boolean;
  client?: EndFacts;
  server?: EndFacts;
  listener?: EndFacts;
  /** Whether both ends are there. */
  isLocal: boolean;
  rules: ExplainedRules | { error: string };
  past?: Past;
  lanes: { client?: ListedLane; server?: ListedLane };
}

type Found = Omit<Step, "step">;

const ok = (words: string): Found => ({ state: "ok", words, reason: null, remedy: null });
const open = (words: string): Found => ({ ...ok(words), state: "open" });
const notReached: Found = { ...ok(""), state: "not reached" };

/** An obstacle by its name in the table, with words of its own when there are better ones. */
function obstacle<G extends keyof typeof reasons>(
  group: G,
  name: keyof typeof reasons[G] & string,
  words?: string,
): Found {
  const { reason, why, remedy } = reasonNamed(group, name);
  return { state: "obstacle", words: words ?? why, reason, remedy };
}

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
  short_lived: "worth",
  bulk: "worth",
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

const ends = ({ client, server }: Facts) => [client, server].filter((end) => end !== undefined);
/** Who listens stands for a server's end that there is not, or that cannot be seen. */
const withListener = ({ client, server, listener }: Facts) =>
  [client, server ?? listener].filter((end) => end !== undefined);
const some = (facts: Facts, has: (end: EndFacts) => boolean) =>
  ends(facts).filter(has).map(({ who }) => who).join(", ");

function local({ isLocal, verdict, listener }: Facts): Found {
  if (!verdict) return open("both ends have to be on this host");
  if (isLocal) return ok("both ends are on this host");
  return listener
    ? obstacle(
      "refused",
      "not_local",
      `${listener.who} listens for it, and has not accepted it, or the other end is out of sight`,
    )
    : obstacle(
      "refused",
      "not_local",
      "no process that can be seen has its other end: it is on another host, or in a process out of sight",
    );
}

function cgroup(facts: Facts): Found {
  const known = withListener(facts);
  const outside = known.filter(({ inCgroup }) => !inCgroup).map(({ who }) => who).join(", ");
  const { cgroup } = facts.setting;
  if (outside) {
    const words = `the socket of ${outside} is outside of ${cgroup}, where its program was when it made it`;
    return { ...obstacle("refused", "not_local", words), reason: "outside cgroup" };
  }
  if (known.length === 0) return open(`both programs have to be under ${cgroup}`);
  if (known.length === 1) return open(`${known[0].who} is under ${cgroup}; the other end has to be`);
  return ok(`both ends are under ${cgroup}`);
}

function protocol(facts: Facts): Found {
  const { listener, isInside } = facts;
  const special = some(facts, ({ protocol }) => protocol);
  if (special) return obstacle("refused", "protocol", `${special} has kTLS or another ULP, or MPTCP`);
  if (listener?.protocol && !isInside) {
    return obstacle("refused", "protocol", `${listener.who} listens by MPTCP, or with a ULP`);
  }
  const kernels = some(facts, ({ isKernels }) => isKernels);
  if (kernels) {
    return obstacle(
      "refused",
      "kernel_socket",
      `the socket of ${kernels} is the kernel's, or was given to it`,
    );
  }
  const mapped = isInside ? "" : some(facts, ({ inSockmap }) => inSockmap);
  if (mapped) return obstacle("refused", "other_sockmap", `the socket of ${mapped} is in another sockmap`);
  const known = withListener(facts);
  if (known.length === 0) return open("both ends have to be plain TCP, in no other sockmap");
  if (known.length === 1) {
    return open(`${known[0].who} is plain TCP, in no other sockmap; the other end has to be`);
  }
  return ok("both ends are plain TCP, and in no other sockmap");
}

function mode(facts: Facts): Found {
  const { setting, client, server, listener, isInside } = facts;
  if (setting.allSockets) return ok("sockets in blocking mode are accelerated too (--sockets all)");
  const blocks = (who: string) => `the socket of ${who} is in blocking mode`;
  if (isInside) {
    const who = some(facts, ({ blocking }) => blocking);
    if (who) return obstacle("left", "blocking", `${blocks(who)}: it leaves when it sends`);
  }
  if (client?.blocking) {
    return obstacle(
      "refused",
      "blocking_client",
      server?.blocking ? `${blocks(client.who)}, and that of ${server.who}` : blocks(client.who),
    );
  }
  if (server?.blocking) return obstacle("refused", "blocking_listener", blocks(server.who));
  if (!server && listener?.blocking) {
    return obstacle("refused", "blocking_listener", `${listener.who} listens in blocking mode`);
  }
  if (!client && !server) {
    return open(
      listener
        ? `${listener.who} listens in non-blocking mode; the client has to be, too`
        : "both sockets have to be non-blocking",
    );
  }
  if (!client || !server) return open("both sockets have to be non-blocking; one of them cannot be seen");
  return ok(
    listener?.blocking && !isInside
      ? `both ends are non-blocking; ${listener.who} listens in blocking mode, so it can enter by adoption only`
      : "both ends are non-blocking",
  );
}

function rules({ rules, isInside }: Facts): Found {
  if ("error" in rules) return open(rules.error);
  const { accelerated, reason, words } = rules;
  if (accelerated) return ok(words);
  if (isInside) {
    return obstacle(
      "left",
      "by_rule",
      `${words}; it stays until mda reload --reapply, since it has entered before`,
    );
  }
  return obstacle("refused", reason!, words);
}

function worth({ past, setting, verdict }: Facts): Found {
  if (setting.unknown === "fast") return ok("not asked (--unknown fast)");
  if (!past) {
    return verdict
      ? ok("nothing is known of others like it")
      : open("depends on what others like it were like");
  }
  const { connections, short, bulk } = past;
  return ok(
    `of the last ${connections} between these programs, ${short} lived for a request or two, ${bulk} turned to bulk`,
  );
}

function programs(facts: Facts): Found {
  const { setting, isInside } = facts;
  const known = withListener(facts);
  const doing = known.filter(({ habit }) => habit > HABIT_RECEIVES);
  if (doing.length > 0) {
    const words = doing.map(({ who, habit }) => `${who} ${habitWords(habit)}`).join(", ");
    return isInside ? obstacle("left", "by_habit", words) : obstacle("refused", "habit", words);
  }
  const unknown = known.filter(({ habit }) => habit === HABIT_UNKNOWN);
  if (unknown.length > 0 && setting.unknown !== "fast") {
    const words = unknown.map((end) => `how ${end.who} receives is not known: ${sofar(end, setting)}`).join(
      ", ",
    );
    return isInside ? obstacle("left", "unknown", words) : obstacle("refused", "unknown", words);
  }
  if (known.length < 2) {
    return open(
      known.length === 0
        ? "both programs have to receive with recv(2) and its like"
        : `${known[0].who} receives with recv(2) and its like; of the other nothing can be told`,
    );
  }
  return ok(
    unknown.length > 0
      ? "not known of both, and not waited for (--unknown fast)"
      : "both receive with recv(2) and its like",
  );
}

function sofar({ inCode, messages }: EndFacts, { unknown, hooks }: Setting): string {
  if (hooks === "none") return "mda has no hook to see it by (programs: hooks none)";
  if (unknown === "strict" && inCode & CODE_SPLICES) return "it has splice(2) in its code (--unknown strict)";
  return `it has read ${messages === 1 ? "1 message that counts" : `${messages} messages that count`}`;
}

function inside({ client, server }: Facts["lanes"]): Found {
  return client && server
    ? ok("both ends are in the sockhash")
    : obstacle("passed", "unpaired", `only the ${client ? "client" : "server"}'s end is in the sockhash`);
}

function sends(lane: ListedLane | undefined): Found {
  if (!lane) return open("not known");
  const { messages, passed_messages, passed_for, on_tcp, paired } = lane;
  if (!paired) return passed_messages === 0n ? ok("nothing yet") : obstacle("passed", "unpaired");
  const counts = `${messages.toLocaleString("en")} messages past TCP, ${
    passed_messages.toLocaleString("en")
  } by TCP`;
  if (messages + passed_messages === 0n) return ok("nothing yet");
  if (!on_tcp) return ok(counts);
  const { reason, why, remedy } = named("passed", passed_for)!;
  // The next message goes past TCP again, as far as this one tells.
  const isPassing = passed_for === PASSED_REFRESH || passed_for === PASSED_ACKNOWLEDGING;
  if (isPassing && messages > 0n) return ok(`${counts}; the last because ${why}`);
  return { state: "obstacle", words: `${counts}; the last because ${why}`, reason, remedy: remedy! };
}
