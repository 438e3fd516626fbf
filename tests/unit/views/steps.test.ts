import assert from "node:assert/strict";
import { enums } from "../../../src/generated/layouts.ts";
import { reasons } from "../../../src/generated/reasons.ts";
import type { EndFacts, Facts } from "../../../src/views/step.ts";
import { firstObstacle, stepsFor } from "../../../src/views/steps.ts";
import type { ListedLane } from "../../../src/views/lister.ts";
import { reasonNamed } from "../../../src/views/why.ts";

const plain: EndFacts = {
  who: "program[1]",
  inCgroup: true,
  blocking: false,
  protocol: false,
  isKernels: false,
  inSockmap: false,
  habit: enums.habit.HABIT_RECEIVES,
  inCode: 0,
  messages: 0,
};
const rules = { accelerated: true, reason: null, words: "there are no rules", rules: [] };
const lane = { messages: 10n, passed_messages: 1n, on_tcp: 0, passed_for: 0, paired: 1 } as ListedLane;

/** Both ends are as they have to be, and nothing is noted. */
const facts: Facts = {
  setting: {
    cgroup: "/sys/fs/cgroup/mesh",
    allSockets: false,
    unknown: "learn",
    hooks: "tracepoints",
    hasProcess: true,
  },
  verdict: { state: "outside", reason: null, why: "" },
  isInside: false,
  client: plain,
  server: { ...plain, who: "server[2]" },
  listener: { ...plain, who: "server[2]" },
  isLocal: true,
  rules,
  lanes: {},
};
const inside: Facts = {
  ...facts,
  isInside: true,
  verdict: { state: "redirected", reason: null, why: "" },
  lanes: { client: lane, server: lane },
};

const obstacleOf = (facts: Facts) => firstObstacle(stepsFor(facts));

for (const [group, state] of [["refused", "refused"], ["left", "left"], ["left", "leaving"]] as const) {
  Deno.test(`whatever is noted of a connection that was ${state} is an obstacle, with words and a remedy`, () => {
    for (const name of Object.keys(reasons[group])) {
      const verdict = { state, ...reasonNamed(group, name as never) };
      const obstacle = obstacleOf({ ...(state === "leaving" ? inside : facts), verdict })!;
      assert.equal(obstacle.reason, `${group} ${name}`);
      assert.equal(obstacle.remedy, verdict.remedy);
      assert.ok(obstacle.words.includes(verdict.why), obstacle.words);
    }
  });
}

Deno.test("whatever a message passed for is an obstacle, but for what passes by itself", () => {
  const none = Object.entries(reasons.passed).filter(([name, { place }]) => {
    const lanes = { client: { ...lane, on_tcp: 1, passed_for: place }, server: lane };
    const obstacle = obstacleOf({ ...inside, lanes });
    if (obstacle) assert.deepEqual([obstacle.step, obstacle.reason], ["client sends", `passed ${name}`]);
    return !obstacle;
  });
  assert.deepEqual(none.map(([name]) => name), ["refresh", "acknowledging"]);
});

Deno.test("nothing stands in the way of one that is redirected, or would be", () => {
  assert.equal(obstacleOf(inside), null);
  assert.equal(obstacleOf({ ...facts, verdict: undefined, isLocal: false }), null);
});

const server = facts.server!;
const cases: Record<string, [change: Partial<Facts>, step: string, reason: string | null, words: RegExp]> = {
  "a client that blocks": [
    { client: { ...plain, blocking: true } },
    "mode",
    "refused blocking_client",
    /^the socket of program\[1\] is in blocking mode$/,
  ],
  "a socket outside of the cgroup, before all else of it": [
    { server: { ...server, inCgroup: false, blocking: true } },
    "cgroup",
    "outside cgroup",
    /^the socket of server\[2\] is outside of \/sys\/fs\/cgroup\/mesh/,
  ],
  "a program that splices": [
    { server: { ...server, habit: enums.habit.HABIT_SPLICES } },
    "programs",
    "refused habit",
    /^server\[2\] uses splice\(2\) on its sockets$/,
  ],
  "a program that is not known": [
    { client: { ...plain, habit: enums.habit.HABIT_UNKNOWN, messages: 1 } },
    "programs",
    "refused unknown",
    /^how program\[1\] receives is not known: it has read 1 message that counts$/,
  ],
  "a program that is not known, where nobody could see": [
    {
      client: { ...plain, habit: enums.habit.HABIT_UNKNOWN },
      setting: { ...facts.setting, hooks: "none" },
    },
    "programs",
    "refused unknown",
    /: mda has no hook to see it by/,
  ],
  "the rules": [
    { rules: { accelerated: false, reason: "no_accept_rule", words: "no ACCEPT rule matches", rules: [] } },
    "rules",
    "refused no_accept_rule",
    /^no ACCEPT rule matches$/,
  ],
  "an end that nobody has": [
    { isLocal: false, server: undefined, listener: undefined },
    "local",
    "refused not_local",
    /another host/,
  ],
  "nothing but that nobody has adopted it": [{}, "sockhash", null, /open before mda came/],
  "what keeps it off now, and not what did at its handshake": [
    {
      client: { ...plain, blocking: true },
      verdict: { state: "refused", ...reasonNamed("refused", "return_rule") },
    },
    "mode",
    "refused blocking_client",
    /blocking mode$/,
  ],
};
for (const [name, [change, step, reason, words]] of Object.entries(cases)) {
  Deno.test(`the first obstacle is ${name}`, () => {
    const obstacle = obstacleOf({ ...facts, ...change })!;
    assert.deepEqual([obstacle.step, obstacle.reason], [step, reason]);
    assert.match(obstacle.words, words);
    assert.ok(obstacle.remedy);
  });
}

Deno.test("with --sockets all and --unknown fast neither blocking nor unknown programs are an obstacle", () => {
  const blocking = { ...plain, blocking: true, habit: enums.habit.HABIT_UNKNOWN };
  const setting = { ...facts.setting, allSockets: true, unknown: "fast" as const };
  assert.equal(obstacleOf({ ...inside, setting, client: blocking, server: blocking }), null);
});
