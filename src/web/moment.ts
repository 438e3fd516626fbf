/** What the page is told: types that the process and the page share. */
import type { Totals } from "../views/rates.ts";
import type { KeptOff } from "../views/kept_off.ts";
import type { Status } from "../views/status.ts";
import type { Rate } from "../views/rates.ts";
import type { State } from "../views/words.ts";

/** A program at a place: a pod, a container or a unit. */
export interface Node {
  program: string;
  /** `-` when it is in none of these. */
  place: string;
}

/** Connections of one program to another, to one port, that go the same way. */
export interface Flow {
  /** Places in {@link Moment.nodes}. */
  client: number;
  server: number;
  port: number;
  /** Whether their messages go past TCP. */
  accelerated: boolean;
  connections: number;
  /** The sum of both directions; null when it is not known: mda does not count what has not entered. */
  rate: Rate | null;
  /** How many connections are in which state, for which reason: the most frequent first. */
  states: { state: State; reason: string | null; why: string; remedy?: string; connections: number }[];
}

/** A rule, and how many connections it has decided. */
export interface RuleHits {
  line: number;
  text: string;
  decided: number;
}

/** All that the page shows now. */
export interface Moment {
  version: string;
  /** ISO 8601 */
  at: string;
  /** Of the host. */
  host: string;
  status: Status & { kept_off: KeptOff[] };
  /** Null the first time. */
  totals: Totals | null;
  nodes: Node[];
  flows: Flow[];
  /** Flows that are not among them, because there are too many: those that move least. */
  leftOut: number;
  /** Null when the file is not as it was when mda read it. */
  rules: RuleHits[] | null;
}

/** A stretch of the history: a second's worth of it. */
export interface Step {
  /** Its end: milliseconds since 1970. */
  at: number;
  redirected: number;
  bytes: number;
  /** Messages over TCP of what has entered. */
  tcp: number;
  /** Connections that have entered, and that were refused. */
  entered: number;
  refused: number;
}
