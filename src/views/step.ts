import type { UnknownPrograms } from "../config/unknown.ts";
import type { reasons } from "../generated/reasons.ts";
import type { ExplainedRules } from "./explained_rules.ts";
import type { ListedLane } from "./lister.ts";
import { reasonNamed, type Verdict } from "./why.ts";
import type { Past } from "./worth.ts";

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

/** What one of them comes to. */
export type Found = Omit<Step, "step">;

export const ok = (words: string): Found => ({ state: "ok", words, reason: null, remedy: null });
export const open = (words: string): Found => ({ ...ok(words), state: "open" });
export const notReached: Found = { ...ok(""), state: "not reached" };

/** An obstacle by its name in the table, with words of its own when there are better ones. */
export function obstacle<G extends keyof typeof reasons>(
  group: G,
  name: keyof typeof reasons[G] & string,
  words?: string,
): Found {
  const { reason, why, remedy } = reasonNamed(group, name);
  return { state: "obstacle", words: words ?? why, reason, remedy };
}

/** Those of both ends that can be seen. */
export const ends = ({ client, server }: Facts) => [client, server].filter((end) => end !== undefined);
/** Who listens stands for a server's end that there is not, or that cannot be seen. */
export const withListener = ({ client, server, listener }: Facts) =>
  [client, server ?? listener].filter((end) => end !== undefined);
/** The names of those ends of which something is so; empty when it is of neither. */
export const some = (facts: Facts, has: (end: EndFacts) => boolean) =>
  ends(facts).filter(has).map(({ who }) => who).join(", ");
