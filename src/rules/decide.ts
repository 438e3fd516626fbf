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
    const index = rules.findIndex((rule) => rule.jump === jump && !lackOf(rule, connection));
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

export type Side = "client" | "server";

/** What keeps a rule from matching. */
export interface Lack {
  option: "ip" | "port" | "uid-owner" | "gid-owner";
  /** The ends that have none of its values: both, but where a rule with -j ACCEPT needs both and one has. */
  ends: Side[];
}

/** The first kind of option of a rule that does not match; a kind that it has no option of always does. */
export function lackOf(rule: Rule, connection: Connection): Lack | undefined {
  const sides: Side[] = ["client", "server"];
  const lack = (option: Lack["option"], has: (end: End) => boolean, wanted: "all" | "some") => {
    const ends = sides.filter((side) => !has(connection[side]));
    return ends.length === 0 || (wanted === "some" && ends.length < sides.length)
      ? undefined
      : { option, ends };
  };
  const { addresses, ports, uids, gids, jump } = rule;
  return (addresses.length > 0 &&
    lack(
      "ip",
      (end) => addresses.some((prefix) => end.addresses.some((address) => contains(prefix, address))),
      jump === "ACCEPT" ? "all" : "some",
    )) ||
    (ports.length > 0 &&
      lack("port", (end) => end.ports.some((port) => ports.some((range) => isIn(range, port))), "some")) ||
    (uids.length > 0 && lack("uid-owner", ({ uid = UNKNOWN_OWNER }) => uids.includes(uid), "some")) ||
    (gids.length > 0 && lack("gid-owner", ({ gid = UNKNOWN_OWNER }) => gids.includes(gid), "some")) ||
    undefined;
}

function isIn({ first, last }: PortRange, port: number): boolean {
  return first <= port && port <= last;
}
