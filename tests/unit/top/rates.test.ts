import assert from "node:assert/strict";
import { groupsOf, Rates, totalsBetween } from "../../../src/views/rates.ts";
import type { Counters } from "../../../src/views/counters.ts";
import { connection, rated } from "./made.ts";

const sends = (id: string, sent: number, passed: number, age = 100) =>
  connection({ id, age, client: { sent, passed }, server: { sent, passed } });

Deno.test("rates are of both directions and of the time between two readings", () => {
  const rates = new Rates();
  assert.equal(rates.of([sends("1", 10, 0)], 100)[0].rate, null);
  const [{ rate }] = rates.of([sends("1", 30, 5)], 102);
  assert.deepEqual(rate, { messages: 20, bytes: 200, tcp: 5 });
});

Deno.test("a connection that has entered since the last reading had sent nothing by then", () => {
  const rates = new Rates();
  rates.of([], 100);
  const [young, old] = rates.of([sends("1", 10, 0, 1), sends("2", 10, 0, 50)], 102);
  assert.equal(young.rate?.messages, 10);
  assert.equal(old.rate, null);
});

Deno.test("a rate is never below nothing, also when an end begins to count anew", () => {
  const rates = new Rates();
  rates.of([sends("1", 1000, 7)], 100);
  const [{ rate }] = rates.of([sends("1", 10, 0)], 102);
  assert.deepEqual(rate, { messages: 0, bytes: 0, tcp: 0 });
});

Deno.test("a connection that has not entered has no rate", () => {
  const rates = new Rates();
  const plain = connection({
    age: null,
    client: { redirected: null, tcp: null },
    server: { redirected: null, tcp: null },
  });
  rates.of([plain], 100);
  assert.equal(rates.of([plain], 102)[0].rate, null);
});

Deno.test("totals are of all that was counted, the most frequent reason first", () => {
  const counters = (messages: number, unread: number, full: number) =>
    ({
      redirected_messages: messages,
      redirected_bytes: messages * 10,
      passed: { unread, full, memory: 3 },
    }) as Counters;
  assert.deepEqual(totalsBetween(counters(0, 0, 0), counters(100, 2, 20), 2), {
    messages: 50,
    bytes: 500,
    tcp: 11,
    reasons: [{ reason: "full", messages: 10 }, { reason: "unread", messages: 1 }],
  });
});

Deno.test("groups are pairs of programs, or of pods, containers and units, with the sums of their rates", () => {
  const connections = [
    rated({ client: { program: "a", pod: "p" }, server: { unit: "s.service" } }, { messages: 1, bytes: 10 }),
    rated({ client: { program: "b", pod: "p" }, server: { unit: "s.service" } }, { messages: 2, tcp: 1 }),
    rated({ client: { program: "a", container: "c" }, server: {} }, null),
  ];
  const programs = groupsOf(connections, "program");
  assert.deepEqual(programs.map(({ client, server, members }) => [client, server, members.length]), [
    ["a", "server", 2],
    ["b", "server", 1],
  ]);
  assert.deepEqual(programs[0].rate, { messages: 1, bytes: 10, tcp: 0 });
  const pods = groupsOf(connections, "pod");
  assert.deepEqual(pods.map(({ client, server }) => [client, server]), [["p", "s.service"], ["c", "-"]]);
  assert.deepEqual(pods.map(({ rate }) => rate), [{ messages: 3, bytes: 10, tcp: 1 }, null]);
});
