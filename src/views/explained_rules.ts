import { printRule } from "../config/print.ts";
import { formatAddress } from "../rules/addresses.ts";
import { type Connection, decide, type End, type Lack, lackOf, type Side } from "../rules/decide.ts";
import type { Rule } from "../rules/rules.ts";

/** What a rule has to do with a connection. */
export interface ExplainedRule {
  /** Its place in the configuration, from 1. */
  rule: number;
  line: number;
  /** As `mda check` prints it. */
  text: string;
  matches: boolean;
  /** Whether it is the one that decides. */
  decides: boolean;
  /** The first of its options that does not match, and what the connection has instead; null when it matches. */
  lacks: string | null;
}

/** What the rules of a configuration say of a connection. */
export interface ExplainedRules {
  accelerated: boolean;
  /** As status names it, when they say no. */
  reason: "return_rule" | "no_accept_rule" | null;
  words: string;
  rules: ExplainedRule[];
}

export function explainRules(rules: Rule[], connection: Connection): ExplainedRules {
  const { accelerated, rule: deciding, reason } = decide(rules, connection);
  const which = deciding && `rule ${deciding.index + 1} (line ${deciding.rule.line}) decides`;
  return {
    accelerated,
    reason: accelerated ? null : deciding ? "return_rule" : "no_accept_rule",
    words: rules.length === 0 ? "there are no rules" : which ? `${which}: ${reason}` : reason,
    rules: rules.map((rule, index) => {
      const lack = lackOf(rule, connection);
      return {
        rule: index + 1,
        line: rule.line,
        text: printRule(rule),
        matches: !lack,
        decides: index === deciding?.index,
        lacks: lack ? wordsOf(lack, connection) : null,
      };
    }),
  };
}

const nouns: Record<Lack["option"], string> = {
  "ip": "address",
  "port": "port",
  "uid-owner": "user",
  "gid-owner": "group",
};

/** `no end has its --port: client 40000, server 80` */
function wordsOf({ option, ends }: Lack, connection: Connection): string {
  const has = (side: Side) => `${side} ${valuesOf(option, connection[side])}`;
  return ends.length === 1
    ? `the ${ends[0]}'s ${nouns[option]} is not among its --${option}: ${has(ends[0])}`
    : `no end has its --${option}: ${ends.map(has).join(", ")}`;
}

/** What an end has: with NAT two of them. */
function valuesOf(option: Lack["option"], end: End): string {
  const known = {
    "ip": end.addresses.map(formatAddress),
    "port": end.ports,
    "uid-owner": [end.uid].filter((uid) => uid !== undefined),
    "gid-owner": [end.gid].filter((gid) => gid !== undefined),
  }[option];
  return known.length === 0 ? "not known" : [...new Set<string | number>(known)].join("=");
}
