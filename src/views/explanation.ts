import type { Connection as Asked } from "../rules/decide.ts";
import type { Connection } from "./connections.ts";
import type { Endpoint } from "./endpoints.ts";
import type { ExplainedRules } from "./explained_rules.ts";
import type { Facts, Step } from "./step.ts";
import { firstObstacle, stepsFor } from "./steps.ts";

/** What becomes of a connection, or of several that are alike, step by step. */
export interface Explained {
  /** The first of them; null for one that is not there. */
  connection: Connection | null;
  /** How many it holds for. */
  alike: number;
  /** Whether nothing stands in its way. */
  accelerated: boolean;
  steps: Step[];
  /** The rules, each with what it has to do with the connection. */
  rules: ExplainedRules["rules"];
  /** The first of the steps that it does not get past; null when there is none. */
  obstacle: Step | null;
}

/** A program that waits for connections. */
export interface ExplainedListener {
  program: string | null;
  pid: number;
  local: Endpoint;
  netns: number;
  steps: Step[];
}

/** Connections that were left to TCP at their handshake since the start, for one reason. */
export interface RefusedKind {
  /** Who listens; null when that is not known. */
  program: string | null;
  port: number;
  reason: string;
  count: number;
  words: string;
  remedy: string;
}

export interface Explanation {
  /** The file with the rules. */
  config: string;
  /** What is to be known of the rest. */
  notes: string[];
  connections: Explained[];
  /** Of what was asked for, when there are no connections to it. */
  listeners: ExplainedListener[];
  refused: RefusedKind[];
}

/** What --src and --dst ask about. */
export interface Question {
  connection: Asked;
  /** The port that a listener would have; undefined when none is given. */
  port?: number;
}

/** Goes through all steps. */
export function explain(facts: Facts, connection: Connection | null): Explained {
  const steps = stepsFor(facts);
  const obstacle = firstObstacle(steps);
  return {
    connection,
    alike: 1,
    accelerated: obstacle === null,
    steps,
    rules: "error" in facts.rules ? [] : facts.rules.rules,
    obstacle,
  };
}
