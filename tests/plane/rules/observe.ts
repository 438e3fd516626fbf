/** What the kernel decides about connections, and what it should. */
import assert from "node:assert/strict";
import { layouts } from "../../../src/generated/layouts.ts";
import { readStruct, u32, u64 } from "../../../src/libbpf/struct.ts";
import { decide } from "../../../src/rules/decide.ts";
import { printRule } from "../../../src/config/print.ts";
import { type Rule, RULES_MAX } from "../../../src/rules/rules.ts";
import { type MapName, openPinnedMap } from "../../../src/state/pins.ts";
import { firstDecision, replaceRules } from "../../../src/state/rules.ts";
import { readStatus } from "../../../src/views/status.ts";
import type { Cgroup } from "../../lab/cgroup.ts";
import { difference, type Growth } from "../../lab/mda.ts";
import { connect, describe, type Ends, type LocalConnection } from "./connections.ts";

export interface Observed {
  /** Whether the kernel accelerated each. */
  accelerated: boolean[];
  /** What decide() says about each, its ends being what the sockets say of themselves and of each other. */
  expected: ReturnType<typeof decide>[];
}

/**
 * Makes the connections, uses and closes them, and compares what the kernel has decided with what decide() does: which
 * connections are accelerated, which rules have decided, and what is counted. The caller is inside the cgroup of the mda.
 *
 * @param rules those that hold
 */
export function observe(pinDir: string, rules: Rule[], all: Ends[]): Observed {
  const before = look(pinDir);
  const connections: LocalConnection[] = [];
  try {
    for (const ends of all) connections.push(connect(ends));
    for (const connection of connections) connection.exchange();
    const accelerated = connections.map(({ cookie }) => isAccelerated(pinDir, cookie));
    const after = look(pinDir);
    const expected = connections.map(({ seen }) => decide(rules, seen));
    connections.forEach(({ seen }, index) => {
      const { accelerated: should, rule, reason } = expected[index];
      const why = `${reason}${rule ? `: ${printRule(rule.rule)}` : ""}`;
      const said = `${describe(seen)}: ${why}\nof the rules\n${rules.map(printRule).join("\n")}\n`;
      assert.equal(accelerated[index], should, said);
    });
    const decided = after.decided.map((count, rule) => count - before.decided[rule]);
    assert.deepEqual(decided, timesDecided(expected));
    assert.deepEqual(difference(before.status, after.status), growthOf(expected));
    return { accelerated, expected };
  } finally {
    connections.forEach((connection) => connection[Symbol.dispose]());
  }
}

/** Runs something in a cgroup: sockets belong to the one that their maker is in. */
export function inside<T>(cgroup: Cgroup, run: () => T): T {
  using _inside = cgroup.enter();
  return run();
}

/** Makes rules hold that a running mda was not started with. */
export function setRules(pinDir: string, rules: Rule[]): void {
  using maps = new DisposableStack();
  replaceRules({ map: (name) => maps.use(openPinnedMap(pinDir, name)!) }, rules, "MODE_REDIRECT");
}

/** Whether both ends are in the sockhash; never is it one alone. */
export function isAccelerated(pinDir: string, cookie: bigint): boolean {
  using sockets = openPinnedMap(pinDir, "sockets")!;
  // bpf/lane.h, struct lane.
  const [client, server] = [sockets.lookup(u64(cookie << 1n)), sockets.lookup(u64(cookie << 1n | 1n))];
  assert.equal(client === undefined, server === undefined);
  if (client) assert.deepEqual(client, u64(cookie));
  return client !== undefined;
}

function look(pinDir: string) {
  return { status: readStatus(pinDir), decided: readDecisions(pinDir) };
}

/** How many connections each rule has decided. */
function readDecisions(pinDir: string): number[] {
  const open = (name: MapName) => openPinnedMap(pinDir, name)!;
  using control = open("control");
  using decisions = open("rule_decisions");
  const { rules_slot } = readStruct(layouts, "control", control.lookup(u32(0))!);
  return Array.from({ length: RULES_MAX }, (_, rule) => {
    const cpus = decisions.lookupPerCpu(u32(firstDecision(rules_slot) + rule))!;
    return Number(cpus.reduce((sum, bytes) => sum + new BigUint64Array(bytes.buffer)[0], 0n));
  });
}

function timesDecided(expected: Observed["expected"]): number[] {
  const times = Array<number>(RULES_MAX).fill(0);
  for (const { rule } of expected) if (rule) times[rule.index]++;
  return times;
}

/** A connection that is accelerated has one message redirected each way. */
function growthOf(expected: Observed["expected"]): Growth {
  const times = (why: string) => expected.filter(({ reason }) => reason === why).length;
  const refused = {
    return_rule: times("a RETURN rule matches"),
    no_accept_rule: times("no ACCEPT rule matches"),
  };
  const paired = expected.filter(({ accelerated }) => accelerated).length;
  return {
    paired,
    adopted: 0,
    messages: 2 * paired,
    bytes: 2 * paired,
    passed: {},
    refused: Object.fromEntries(Object.entries(refused).filter(([, count]) => count > 0)),
    left: {},
  };
}
