/** Every state of small connections: the protocol has no violation, and each part of it is needed. See README.md. */
import assert from "node:assert/strict";
import { explore, type Finding } from "./explore.ts";
import { faults, repaired } from "./faults.ts";
import { type Config, gatherOrder } from "./steps.ts";

const none: ReadonlySet<string> = new Set();

const usual: Config = {
  messages: [2, 0],
  threads: 1,
  edges: [true, true],
  callbacks: false,
  gathers: "anew",
  inside: true,
  triggers: [],
  times: 1,
  switches: 0,
  returns: 0,
  kills: 0,
  starts: 0,
  adoptions: 0,
  stalls: false,
  wraps: false,
  without: none,
  repaired,
};

const byLevel: Partial<Config> = { edges: [false, false] };
const adoption: Partial<Config> = { messages: [3, 0], inside: false, adoptions: 1 };

const scenarios: Record<string, Partial<Config>> = {
  "messages pass beside what is unread": { messages: [3, 0], switches: 2 },
  "messages pass beside what is unread, read by level": { messages: [3, 0], switches: 2, ...byLevel },
  "TCP's positions come round": { messages: [3, 0], switches: 2, wraps: true },
  "a connection is asked to leave": { messages: [3, 0], triggers: ["ask to leave"] },
  "a connection is asked to leave, read by level": {
    messages: [3, 0],
    triggers: ["ask to leave"],
    ...byLevel,
  },
  "a connection is asked to leave, both ends send": { messages: [1, 1], triggers: ["ask to leave"] },
  "an end turns to bulk": { messages: [3, 0], triggers: ["bulk"] },
  "an end turns to bulk, both ends send": { messages: [1, 1], triggers: ["bulk"] },
  "an end turns to bulk, and messages pass": { triggers: ["bulk"], switches: 1 },
  "an end with callbacks turns to bulk": { messages: [3, 0], triggers: ["bulk"], callbacks: true },
  "an end with callbacks turns to bulk, both ends send": {
    messages: [1, 1],
    triggers: ["bulk"],
    callbacks: true,
  },
  "a connection with callbacks is asked to leave": { triggers: ["ask to leave"], callbacks: true },
  "all is to pass": { messages: [3, 0], triggers: ["stop"], ...byLevel },
  "all is to pass for a while": { triggers: ["stop"], switches: 1, returns: 1 },
  "mda is killed": { messages: [3, 0], switches: 1, kills: 1 },
  "mda is killed, and starts again": { switches: 1, kills: 1, starts: 1 },
  "mda is killed while a connection leaves, and starts again": {
    triggers: ["ask to leave"],
    kills: 1,
    starts: 1,
  },
  "mda is killed while it stops, and starts again": {
    messages: [1, 0],
    triggers: ["stop"],
    kills: 1,
    starts: 1,
  },
  "a connection is adopted": { ...adoption, switches: 1 },
  "a connection is adopted, both ends send": { ...adoption, messages: [2, 1] },
  "mda is killed while it adopts, and starts again": { ...adoption, messages: [2, 0], kills: 1, starts: 1 },
  "a connection leaves and is adopted again": { triggers: ["ask to leave"], adoptions: 1 },
  "two threads send at the same time": { threads: 2, switches: 1 },
};

interface Mutation extends Partial<Config> {
  /** What is left out, as steps.ts and verdict.ts name it. */
  leaves: string;
}

const mutations: Record<string, Mutation> = {
  "order is not looked at": { leaves: "order", switches: 1 },
  "only positions are looked at": { leaves: "passing is noted", messages: [3, 0], switches: 2, wraps: true },
  "an adopted connection counts as one that has nothing in TCP": { leaves: "adopted on TCP", ...adoption },
  "a direction goes over to TCP beside what is unread": { leaves: "edges", switches: 1, repaired: none },
  "who is full is not noted": { leaves: "edge is noted", switches: 1 },
  "nobody makes edges": { leaves: "edge", switches: 1 },
  "readers are forgotten before they have their edge": {
    leaves: "edge comes first",
    switches: 1,
    kills: 1,
    starts: 1,
  },
  "it is redirected although nobody makes edges": { leaves: "untended", switches: 1, kills: 1 },
  "a release does not silence its peer": { leaves: "silence", messages: [3, 0], triggers: ["ask to leave"] },
  "a release does not look again": { leaves: "second look", messages: [3, 0], triggers: ["ask to leave"] },
  "a release does not look at its peer's sends": { leaves: "peer's sends", triggers: ["bulk"] },
  "a callback does not look at its peer's sends": {
    leaves: "peer's sends",
    triggers: ["bulk"],
    callbacks: true,
  },
  "a release does not look at its own sends": { leaves: "own sends", triggers: ["bulk"] },
  "a release does not look at what is unread": {
    leaves: "own unread",
    messages: [3, 0],
    triggers: ["ask to leave"],
  },
  "a callback does not look at what is unread": {
    leaves: "own unread",
    messages: [3, 0],
    triggers: ["bulk"],
    callbacks: true,
  },
  "a release does not look at what its peer has unread": {
    leaves: "peer's unread",
    triggers: ["ask to leave"],
  },
  "a peer counts as quiet as soon as it has left": {
    leaves: "settling",
    triggers: ["ask to leave"],
    callbacks: true,
    repaired: none,
    ...byLevel,
  },
  "a sender counts as quiet while another send is under way": {
    leaves: "only send",
    messages: [1, 0],
    threads: 2,
    triggers: ["bulk"],
    repaired: none,
    ...byLevel,
  },
  "a peer that only reads is not told": { leaves: "peer is asked", triggers: ["bulk"] },
};

/** What the model takes for granted, and what is found where it is not so. */
const granted: Record<string, Partial<Config>> = {
  "a read that has begun outside of the sockhash is over when messages pass beside what was redirected": {
    ...adoption,
    switches: 1,
    stalls: true,
  },
};

const inWords = ({ what, path }: Finding) => [`${what}:`, ...path.map((step) => `  ${step}`)].join("\n");

let states = 0;
const started = performance.now();

/** What was explored without a finding: many tests begin with the same. */
const sound = new Set<string>();

function find(changes: Partial<Config>): Finding | undefined {
  const config = { ...usual, ...changes };
  const key = JSON.stringify({ ...config, without: [...config.without], repaired: [...config.repaired] });
  if (sound.has(key)) return undefined;
  const exploration = explore(config);
  states += exploration.states;
  if (!exploration.finding) sound.add(key);
  return exploration.finding;
}

function assertNothing(changes: Partial<Config>): void {
  const finding = find(changes);
  if (finding) assert.fail(inWords(finding));
}

function assertSomething(changes: Partial<Config>): void {
  assert.ok(find(changes), "nothing is found");
}

for (const [name, scenario] of Object.entries(scenarios)) {
  Deno.test(`model: ${name}`, () => assertNothing(scenario));
}

for (const [name, scenario] of Object.entries(scenarios)) {
  Deno.test(`model: ${name}, all is read before it is decided`, () =>
    assertNothing({ ...scenario, gathers: gatherOrder }));
}

for (const [name, { leaves, ...scenario }] of Object.entries(mutations)) {
  Deno.test(`model: it is found when ${name}`, () => {
    const { repaired = usual.repaired } = scenario;
    assertNothing({ ...scenario, repaired: usual.repaired });
    assertSomething({ ...scenario, repaired, without: new Set([leaves]) });
  });
}

for (const [fault, scenario] of Object.entries(faults)) {
  Deno.test(`model: a fault that was mended is found without the mend: ${fault}`, () => {
    assertNothing(scenario);
    assertSomething({ ...scenario, repaired: new Set(Object.keys(faults).filter((name) => name !== fault)) });
  });
}

for (const [what, scenario] of Object.entries(granted)) {
  Deno.test(`model: it is found unless ${what}`, () => assertSomething(scenario));
}

addEventListener("unload", () => {
  console.log(`${states} states in ${Math.round(performance.now() - started)} ms`);
});
