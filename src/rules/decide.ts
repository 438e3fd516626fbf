import { contains } from "./addresses.ts";
import type { Address, PortRange, Rule } from "./rules.ts";

/** One end of a connection, as the rules see it. */
export interface End {
  /** Each address that either side sees it under: NAT gives an end a second one. */
  addresses: Address[];
  ports: number[];
  /** Who made the socket; 4294967295, which the kernel gives nobody, when that is not known. */
  uid?: number;
  gid?: number;
}

const UNKNOWN_OWNER = 0xffff_ffff;

export interface Connection {
  client: End;
  server: End;
}

export interface Decision {
  accelerated: boolean;
  /** Its index in the configuration and the rule that decided; absent when none did. */
  rule?: { index: number; rule: Rule };
  /** Why, as a sentence without its rule. */
  reason:
    | "a RETURN rule matches"
    | "an ACCEPT rule matches"
    | "no ACCEPT rule matches"
    | "there is no ACCEPT rule";
}

/**
 * Which rule decides about a connection: what the kernel side does with the compiled rules, said in TypeScript. A RETURN
 * rule that matches wins, whatever the order; otherwise an ACCEPT rule must match if there is one.
 */
export function decide(rules: Rule[], connection: Connection): Decision {
  const find = (jump: Rule["jump"]) => {
    const index = rules.findIndex((rule) => rule.jump === jump && matches(rule, connection));
    return index < 0 ? undefined : { index, rule: rules[index] };
  };
  const returning = find("RETURN");
  if (returning) return { accelerated: false, rule: returning, reason: "a RETURN rule matches" };
  const accepting = find("ACCEPT");
  if (accepting) return { accelerated: true, rule: accepting, reason: "an ACCEPT rule matches" };
  return rules.some((rule) => rule.jump === "ACCEPT")
    ? { accelerated: false, reason: "no ACCEPT rule matches" }
    : { accelerated: true, reason: "there is no ACCEPT rule" };
}

/** Whether all of a rule's kinds of option match; a kind that it has no option of always does. */
function matches(rule: Rule, { client, server }: Connection): boolean {
  const ends = [client, server];
  const inside = (end: End) =>
    rule.addresses.some((prefix) => end.addresses.some((address) => contains(prefix, address)));
  const hasPort = (end: End) => end.ports.some((port) => rule.ports.some((range) => isIn(range, port)));
  return (rule.addresses.length === 0 || (rule.jump === "ACCEPT" ? ends.every(inside) : ends.some(inside))) &&
    (rule.ports.length === 0 || ends.some(hasPort)) &&
    (rule.uids.length === 0 || ends.some(({ uid = UNKNOWN_OWNER }) => rule.uids.includes(uid))) &&
    (rule.gids.length === 0 || ends.some(({ gid = UNKNOWN_OWNER }) => rule.gids.includes(gid)));
}

function isIn({ first, last }: PortRange, port: number): boolean {
  return first <= port && port <= last;
}
