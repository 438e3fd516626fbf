/** The histograms by the rule that has let a connection in. */
import assert from "node:assert/strict";
import { openPinnedMap } from "../../../src/state/pins.ts";
import { type Cgroup, createCgroup } from "../../lab/cgroup.ts";
import { Mda, runMda } from "../../lab/mda.ts";
import { freePort } from "../../lab/servers.ts";
import { Older } from "../../lab/streams/older.ts";
import { waitFor } from "../../lab/wait.ts";
import { connect, type LocalConnection } from "../rules/connections.ts";
import { inside } from "../rules/observe.ts";
import { freeAddress, labelsKey, scrape, type Scraped } from "./scrape.ts";

const kinds = ["age_seconds", "messages", "bytes", "message_bytes"];

type Counted = { count: number; sum: number };

/** What is served of a kind, by rule. */
function byRule(scraped: Map<string, Scraped>, kind: string): Record<string, Counted> {
  const { histograms } = scraped.get(`mda_rule_connection_${kind}`)!;
  return Object.fromEntries(
    [...histograms].map(([labels, { count, sum }]) => [JSON.parse(labels).rule, { count, sum }]),
  );
}

/** Waits until so many connections have ended, and returns what is served then. */
async function ended(url: string, count: number): Promise<Map<string, Scraped>> {
  return await waitFor("a text with all connections", async () => {
    const scraped = await scrape(url);
    const all = [...scraped.get("mda_connection_age_seconds")!.histograms.values()];
    return all.reduce((sum, one) => sum + one.count, 0) === count && scraped;
  }, { timeoutMs: 30_000 });
}

/** A connection to a port of this host that has sent a message each way, so many times. */
function open(cgroup: Cgroup, port: number, times: number): LocalConnection {
  const ends = { client: { address: "127.0.0.1" }, server: { address: "127.0.0.1", port } };
  const connection = inside(cgroup, () => connect(ends));
  for (let i = 0; i < times; i++) connection.exchange();
  return connection;
}

function histogramsOf({ pinDir }: Mda): number {
  using map = openPinnedMap(pinDir, "rule_histograms")!;
  return [...map.keys()].length;
}

async function reload({ pinDir, configFile }: Mda, config: string): Promise<void> {
  Deno.writeTextFileSync(configFile, config);
  const { code, stderr } = await runMda(["--pin-dir", pinDir, "reload"]);
  assert.equal(code, 0, stderr);
}

Deno.test("connections that have ended are in the histograms of the rule that has let them in, once", async () => {
  await using cgroup = createCgroup("metrics");
  const { address, url } = freeAddress();
  const [one, none, other, unused] = Array.from({ length: 4 }, freePort);
  const config = `chain -p ${one}\nchain -p ${none} -j RETURN\nchain -p ${other}\nchain -p ${unused}\n`;
  await using mda = await Mda.start({ cgroup, config, args: ["--unknown", "fast", "--metrics", address] });
  assert.equal(histogramsOf(mda), 3);
  for (const port of [one, one, one, none]) open(cgroup, port, 1)[Symbol.dispose]();
  for (const port of [other, other]) open(cgroup, port, 2)[Symbol.dispose]();
  const scraped = await ended(url, 5);
  assert.deepEqual(byRule(scraped, "messages"), { 1: { count: 3, sum: 6 }, 3: { count: 2, sum: 8 } });
  assert.deepEqual(byRule(scraped, "bytes"), { 1: { count: 3, sum: 6 }, 3: { count: 2, sum: 8 } });
  assert.deepEqual(byRule(scraped, "message_bytes"), { 1: { count: 3, sum: 3 }, 3: { count: 2, sum: 2 } });
  const { 1: first, 3: third } = byRule(scraped, "age_seconds");
  assert.deepEqual([first.count, third.count], [3, 2]);
  const { sum } = scraped.get("mda_connection_age_seconds")!.histograms.get(labelsKey({ reason: "ended" }))!;
  assert.ok(first.sum > 0 && third.sum > 0 && Math.abs(first.sum + third.sum - sum) < 1e-6);
  await mda.stop();
});

Deno.test("no rule has connections of its place that other rules have let in", async () => {
  await using cgroup = createCgroup("metrics");
  const { address, url } = freeAddress();
  const [one, other] = Array.from({ length: 2 }, freePort);
  const config = `chain -p ${one}\nchain -p ${other}\n`, swapped = `chain -p ${other}\nchain -p ${one}\n`;
  await using mda = await Mda.start({ cgroup, config, args: ["--unknown", "fast", "--metrics", address] });
  const connections: LocalConnection[] = [];
  try {
    // What the first had is used again by the third, and the second's by the fourth.
    for (const next of [swapped, config, swapped]) {
      connections.push(open(cgroup, one, 1), open(cgroup, one, 1));
      await reload(mda, next);
      assert.equal(histogramsOf(mda), 4);
    }
    connections.push(open(cgroup, one, 3));
  } finally {
    connections.forEach((connection) => connection[Symbol.dispose]());
  }
  const scraped = await ended(url, 7);
  assert.deepEqual(byRule(scraped, "messages"), { 2: { count: 1, sum: 6 } });
  for (const kind of kinds) assert.deepEqual(Object.keys(byRule(scraped, kind)), ["2"]);
  await mda.stop();
});

Deno.test("adopted connections are in the histograms of the rule that lets them in", async () => {
  await using cgroup = createCgroup("metrics");
  await using older = await Older.start({ cgroup });
  const { address, url } = freeAddress();
  const config = "chain -p 1\nchain -i 127.0.0.0/8\n";
  await using mda = await Mda.start({ cgroup, config, args: ["--metrics", address] });
  await waitFor("adoption", async () => (await mda.status()).connections.active === 10);
  await older.trips(20, 300);
  // They leave, since such a socket's end is not seen.
  await older.become("blocking");
  const scraped = await ended(url, 10);
  const { redirected: { messages, bytes }, decided } = await mda.status();
  assert.ok(messages > 200);
  assert.deepEqual(byRule(scraped, "messages"), { 2: { count: 10, sum: messages } });
  assert.deepEqual(byRule(scraped, "bytes"), { 2: { count: 10, sum: bytes } });
  assert.deepEqual(decided, [0, 0]);
  await mda.stop();
});

Deno.test("without rules there are no histograms by rule", async () => {
  await using cgroup = createCgroup("metrics");
  const { address, url } = freeAddress();
  await using mda = await Mda.start({ cgroup, args: ["--unknown", "fast", "--metrics", address] });
  open(cgroup, freePort(), 1)[Symbol.dispose]();
  const scraped = await ended(url, 1);
  for (const kind of kinds) assert.deepEqual(byRule(scraped, kind), {});
  assert.equal(histogramsOf(mda), 0);
  await mda.stop();
});
