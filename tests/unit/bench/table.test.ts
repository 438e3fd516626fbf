import assert from "node:assert/strict";
import { evaluate, limit } from "../../../bench/results.ts";
import { medianInterval } from "../../../bench/statistics.ts";
import { formatTable } from "../../../bench/table.ts";
import type { Row } from "../../../bench/workload.ts";

const rate: Row = { group: "redis", name: "GET 4 KiB, 200 conn", unit: "requests/s", target: { tcp: 1.3 } };
const p90: Row = { ...rate, name: "p90", unit: "ms", lowerIsBetter: true, target: { tcp: 0.65 } };

const bystander = {
  bystander: "redis GET, 50 conn",
  unit: "requests/s",
  accelerated: "nothing, at first",
  hooks: ["sees_splice", "sees_getsockopt", "sees_ioctl"],
  without: 100_000,
  with: 99_000,
  rate: { median: 0.99, low: 0.98, high: 1 },
  cpuTime: { median: 1.01, low: 1, high: 10.02 },
};

/** Rounds in which mda is so many times as much as TCP, and the textbook data plane equals TCP. */
function rounds(row: Row, ...ratios: number[]) {
  const tcp = ratios.map((_, round) => 100_000 + round);
  return evaluate({
    row,
    values: { tcp, textbook: tcp, mda: tcp.map((value, round) => value * ratios[round]) },
  });
}

function verdict(row: Row, ...ratios: number[]) {
  return rounds(row, ...ratios).comparisons.find(({ against }) => against === "tcp")!.verdict;
}

Deno.test("a ratio is the median of the rounds' ratios", () => {
  const row = evaluate({
    row: rate,
    values: { tcp: [100, 200, 400], textbook: [1, 1, 1], mda: [150, 400, 400] },
  });
  const [{ median, min, max }] = row.comparisons;
  assert.deepEqual({ median, min, max }, { median: 1.5, min: 1, max: 2 });
});

Deno.test("the median decides whether a target is met, and the best round how badly it is missed", () => {
  assert.equal(verdict(rate, 1.2, 1.3, 1.4), "met");
  assert.equal(verdict(rate, 1.2, 1.29, 1.4), "sometimes");
  assert.equal(verdict(rate, 1.2, 1.25, 1.29), "missed");
});

Deno.test("a target of a row where lower is better is met from below", () => {
  assert.equal(verdict(p90, 0.6, 0.65, 0.7), "met");
  assert.equal(verdict(p90, 0.6, 0.66, 0.7), "sometimes");
  assert.equal(verdict(p90, 0.66, 0.7, 0.8), "missed");
});

Deno.test("a row with a target must also not be worse than the textbook data plane, one without has no verdict", () => {
  const below = (row: Row) => rounds(row, 0.9, 0.9).comparisons.map(({ verdict }) => verdict);
  assert.deepEqual(below({ ...rate, target: { tcp: 0.5 } }), ["met", "missed"]);
  assert.deepEqual(below({ ...rate, target: undefined }), ["met", "met"]);
});

Deno.test("a row may have another target for the textbook data plane", () => {
  const against = (textbook: number, ...ratios: number[]) => {
    const row = { ...rate, target: { tcp: 0.5, textbook } };
    return rounds(row, ...ratios).comparisons.find(({ against }) => against === "textbook")!;
  };
  assert.equal(against(0.98, 0.98, 0.98).verdict, "met");
  assert.equal(against(0.98, 0.97, 0.98, 0.97).verdict, "sometimes");
  assert.equal(against(0.98, 0.97, 0.97).verdict, "missed");
  assert.equal(against(0.98, 0.98).target, 0.98);
  assert.equal(against(1.4, 1.3, 1.3).verdict, "missed");
});

Deno.test("a row that plain TCP has no number for is compared with the others only", () => {
  const verdict: Row = {
    group: "sk_msg program",
    name: "verdict",
    unit: "ns a message",
    lowerIsBetter: true,
    target: { textbook: 1.4 },
  };
  const line = (mda: number) =>
    formatTable([evaluate({ row: verdict, values: { textbook: [100], mda: [mda], before: [200] } })], []);
  assert.match(line(140), /\n +verdict +100 +140 +1\.40 +1\.40-1\.40\n/);
  assert.match(line(141), /\n +verdict +100 +141 +1\.41! +1\.41-1\.41\n/);
  assert.match(line(140), /mda\/before\n.*\n +verdict +200 +140 +0\.70 +0\.70-0\.70\n/);
});

Deno.test("a median of many lies between close numbers, of few anywhere", () => {
  const numbers = Array.from({ length: 21 }, (_, index) => index);
  assert.deepEqual(medianInterval(numbers), { median: 10, low: 6, high: 14 });
  assert.deepEqual(medianInterval([3, 1, 2]), { median: 2, low: 1, high: 3 });
});

Deno.test("the table fits 80 columns and marks what misses its target", () => {
  const unix = evaluate({
    row: rate,
    values: { tcp: [1e6], textbook: [1e6], mda: [1.2e7], before: [1e7], unix: [1e6] },
  });
  const table = formatTable([rounds(rate, 1.1, 10.2, 10.3), rounds(p90, 0.7), unix], [
    limit("kernel memory of mda with 10,000 connections", "MB", 40, [41]),
  ], { results: [bystander], othersShare: 0.123 });
  for (const line of table.split("\n")) assert.ok(line.length <= 80, line);
  assert.match(table, /GET 4 KiB, 200 conn +100k +100k +1\.02M +10\.2 +1\.10-10\.3/);
  assert.match(
    table,
    /nothing, at first +100k +99\.0k +3 +0\.99 0\.98-1\.00 +1\.01 1\.00-10\.02\nOthers used 12 %/,
  );
  assert.match(table, /p90 +100k +100k +70\.0k +0\.70! 0\.70-0\.70/);
  assert.match(table, /mda\/before\n.*\n +GET 4 KiB, 200 conn +10\.0M +12\.0M +1\.20 +1\.20-1\.20\n/);
  assert.match(table, /10,000 connections, MB +41\.0! +40\.0/);
});
