import assert from "node:assert/strict";
import { flowsOf, isAccelerated } from "../../../src/web/flows.ts";
import { stepBetween } from "../../../src/web/history.ts";
import { graphOf, wordsOf } from "../../../src/web/page/graph.ts";
import { counters, rated } from "./made.ts";

const fast = { messages: 100, bytes: 5000, tcp: 1 };
const slow = { messages: 0, bytes: 0, tcp: 40 };

Deno.test("a connection is shown the way that most of its messages go", () => {
  assert.equal(isAccelerated(rated({ state: "redirected", rate: fast })), true);
  // One message a second goes by TCP in any case.
  assert.equal(isAccelerated(rated({ state: "passed", rate: fast })), true);
  assert.equal(isAccelerated(rated({ state: "passed", rate: slow })), false);
  assert.equal(isAccelerated(rated({ state: "idle" })), true);
  assert.equal(isAccelerated(rated({ state: "passed" })), false);
  for (const state of ["left", "refused", "outside"] as const) {
    assert.equal(isAccelerated(rated({ state, rate: fast })), false);
  }
});

Deno.test("connections of two programs, to one port, that go one way, are a flow", () => {
  const { nodes, flows, leftOut } = flowsOf([
    rated({ rate: fast }),
    rated({ rate: fast }),
    rated({ port: 81, rate: null }),
    rated({ state: "refused", reason: "refused blocking_client", why: "the client blocks" }),
    rated({ state: "refused", reason: "refused blocking_client", why: "the client blocks" }),
    rated({ state: "refused", reason: "refused unknown", why: "not known yet" }),
    rated({ pod: "a", rate: fast }),
  ]);
  assert.deepEqual(nodes, [
    { program: "wrk", place: "-" },
    { program: "nginx", place: "-" },
    { program: "wrk", place: "a" },
  ]);
  assert.equal(leftOut, 0);
  assert.deepEqual(flows.map(({ states: _, ...flow }) => flow), [
    {
      client: 0,
      server: 1,
      port: 80,
      accelerated: true,
      connections: 2,
      rate: { messages: 200, bytes: 10000, tcp: 2 },
    },
    { client: 0, server: 1, port: 81, accelerated: true, connections: 1, rate: null },
    { client: 0, server: 1, port: 80, accelerated: false, connections: 3, rate: null },
    { client: 2, server: 1, port: 80, accelerated: true, connections: 1, rate: fast },
  ]);
  assert.deepEqual(flows[2].states.map(({ why, connections }) => [why, connections]), [
    ["the client blocks", 2],
    ["not known yet", 1],
  ]);
});

Deno.test("of more flows than anybody can look at, those that move most are shown, and the others are counted", () => {
  const many = Array.from({ length: 2100 }, (_, port) => rated({ port: port + 1 }));
  const { flows, leftOut } = flowsOf([...many, rated({ port: 5000, rate: fast })]);
  assert.equal(flows.length, 2000);
  assert.equal(leftOut, 101);
  assert.equal(flows[0].port, 5000);
});

Deno.test("a step of the history is a second's worth, and none when counters or the clock began anew", () => {
  const before = counters({ redirected_messages: 100, connections_paired: 1 });
  const after = counters({
    redirected_messages: 300,
    redirected_bytes: 1000,
    connections_paired: 2,
    connections_adopted: 1,
    passed: { ...before.passed, full: 50 },
  });
  assert.deepEqual(stepBetween(before, after, 0, 10_000), {
    at: 10_000,
    redirected: 20,
    bytes: 100,
    tcp: 5,
    entered: 0.2,
    refused: 0,
  });
  assert.equal(stepBetween(after, before, 0, 10_000), undefined);
  assert.equal(stepBetween(before, after, 10_000, 10_000), undefined);
});

Deno.test("the graph's nodes are programs, places, or programs in places; its edges the ways between them", () => {
  const { nodes, flows } = flowsOf([
    rated({ rate: fast }),
    rated({ port: 81, rate: fast }),
    rated({ state: "refused", why: "blocks" }),
    rated({ pod: "a", rate: slow, state: "passed" }),
    rated({ client: "nginx", server: "nginx", rate: fast }),
  ]);
  const programs = graphOf(nodes, flows, "program");
  assert.deepEqual(programs.nodes.map(({ name, connections }) => [name, connections]), [["wrk", 4], [
    "nginx",
    5,
  ]]);
  assert.deepEqual(
    programs.edges.map((
      { source, target, accelerated, connections },
    ) => [source, target, accelerated, connections]),
    [
      ["wrk", "nginx", true, 2],
      ["wrk", "nginx", false, 2],
      ["nginx", "nginx", true, 1],
    ],
  );
  assert.deepEqual(graphOf(nodes, flows, "place").nodes.map(({ name }) => name), ["wrk", "nginx", "a"]);
  assert.deepEqual(graphOf(nodes, flows, "both").nodes.map(({ name }) => name), ["wrk", "nginx", "wrk in a"]);
  assert.equal(
    wordsOf(programs, "wrk", String),
    "wrk. to nginx: 2 accelerated, 202 messages a second; to nginx: 2 over TCP, 40 messages a second.",
  );
});
