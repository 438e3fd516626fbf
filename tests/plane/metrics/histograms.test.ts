/** The histograms of `mda run --metrics`: each connection that has ended is in them once, with all that it had redirected. */
import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { Mda, runMda } from "../../lab/mda.ts";
import { run } from "../../lab/program.ts";
import { freePort, startRedis } from "../../lab/servers.ts";
import { Older } from "../../lab/streams/older.ts";
import { sleep, waitFor } from "../../lab/wait.ts";
import { freeAddress, labelsKey, scrape, type Scraped, type ScrapedHistogram } from "./scrape.ts";

const ofConnections = [
  "mda_connection_age_seconds",
  "mda_connection_messages",
  "mda_connection_bytes",
  "mda_connection_message_bytes",
];

/** Of all reasons together. */
function total(scraped: Map<string, Scraped>, name: string): { count: number; sum: number } {
  const all = [...scraped.get(name)!.histograms.values()];
  const add = (of: (histogram: ScrapedHistogram) => number) => all.reduce((sum, one) => sum + of(one), 0);
  return { count: add(({ count }) => count), sum: add(({ sum }) => sum) };
}

Deno.test("connections that have ended are in the histograms once, with what they had redirected", async () => {
  await using cgroup = createCgroup("metrics");
  const { address, url } = freeAddress();
  await using mda = await Mda.start({ cgroup, args: ["--unknown", "fast", "--metrics", address] });
  const port = freePort();
  await using _redis = await startRedis({ cgroup }, { port });
  const before = await scrape(url);
  for (const name of ofConnections) {
    assert.deepEqual([...before.get(name)!.histograms.keys()], [labelsKey({ reason: "ended" })]);
    assert.deepEqual(total(before, name), { count: 0, sum: 0 });
  }
  const benchmark = ["redis-benchmark", "-p", `${port}`, "-q", "-c", "20", "-n", "2000", "-t", "set,get"];
  await run({ cgroup }, [...benchmark, "-d", "1000"]);
  await waitFor("the connections' end", async () => (await mda.status()).connections.active === 0);
  await sleep(1100);
  const scraped = await scrape(url);
  const { connections, redirected } = await mda.status();
  assert.ok(connections.paired >= 40, JSON.stringify(connections));
  assert.equal(total(scraped, "mda_connection_age_seconds").count, connections.paired);
  assert.deepEqual(total(scraped, "mda_connection_messages"), {
    count: connections.paired,
    sum: redirected.messages,
  });
  assert.deepEqual(total(scraped, "mda_connection_bytes"), {
    count: connections.paired,
    sum: redirected.bytes,
  });
  const first = scraped.get("mda_first_message_seconds")!.histograms.get("")!;
  const withMessages = total(scraped, "mda_connection_message_bytes").count;
  assert.equal(first.count, withMessages);
  assert.ok(first.sum > 0 && first.sum < 60, `${first.sum}`);
  await mda.stop();
});

Deno.test("a histogram's buckets have each value in all that it fits into", async () => {
  await using cgroup = createCgroup("metrics");
  const { address, url } = freeAddress();
  await using mda = await Mda.start({ cgroup, args: ["--unknown", "fast", "--metrics", address] });
  const port = freePort();
  await using _redis = await startRedis({ cgroup }, { port });
  await run({ cgroup }, ["redis-benchmark", "-p", `${port}`, "-q", "-c", "5", "-n", "500", "-t", "set"]);
  await waitFor("the connections' end", async () => (await mda.status()).connections.active === 0);
  const scraped = await waitFor("a new text", async () => {
    const now = await scrape(url);
    return total(now, "mda_connection_messages").count > 0 && now;
  });
  for (const name of [...ofConnections, "mda_first_message_seconds"]) {
    for (const { count, buckets } of scraped.get(name)!.histograms.values()) {
      const bounds = Object.keys(buckets).sort((a, b) =>
        Number(a.replace("+", "")) - Number(b.replace("+", ""))
      );
      assert.equal(bounds.at(-1), "+Inf");
      assert.equal(buckets["+Inf"], count);
      const counts = bounds.map((bound) => buckets[bound]);
      assert.deepEqual(counts, counts.toSorted((a, b) => a - b));
    }
  }
  await mda.stop();
});

Deno.test("connections that leave and are adopted again are in the histograms each time, by the reason to leave", async () => {
  await using cgroup = createCgroup("metrics");
  await using older = await Older.start({ cgroup });
  const { address, url } = freeAddress();
  const all = "chain -j ACCEPT\n", none = "chain -j RETURN\n";
  await using mda = await Mda.start({ cgroup, config: all, args: ["--metrics", address] });
  const rule = async (text: string, active: number) => {
    Deno.writeTextFileSync(mda.configFile, text);
    const { code, stderr } = await runMda(["--pin-dir", mda.pinDir, "reload", "--reapply"]);
    assert.equal(code, 0, stderr);
    await waitFor("the sockets", async () => (await mda.status()).connections.active === active);
  };
  for (const times of [1, 2]) {
    await rule(all, 10);
    await older.trips(20, 300);
    await rule(none, 0);
    // Both ends of each have left.
    const scraped = await waitFor("all to be counted", async () => {
      const now = await scrape(url);
      return total(now, "mda_connection_messages").count === 10 * times && now;
    }, { timeoutMs: 20_000 });
    const { redirected, left } = await mda.status();
    assert.ok(redirected.messages > 200 * times, JSON.stringify(redirected));
    assert.equal(total(scraped, "mda_connection_messages").sum, redirected.messages);
    assert.equal(total(scraped, "mda_connection_bytes").sum, redirected.bytes);
    const counted = scraped.get("mda_connection_age_seconds")!.histograms;
    for (const labels of counted.keys()) {
      const { reason } = JSON.parse(labels);
      assert.ok(reason === "ended" || left[reason as keyof typeof left] > 0, reason);
    }
    assert.equal(counted.get(labelsKey({ reason: "ended" }))!.count, 0);
  }
  await mda.stop();
});
