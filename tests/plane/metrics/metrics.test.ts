/** `mda run --metrics`, with redis as its user. */
import assert from "node:assert/strict";
import manifest from "../../../deno.json" with { type: "json" };
import { listenAt } from "../../../src/host/listeners.ts";
import { MetricsServer } from "../../../src/http/server.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { Mda, newPinDir, pinsOf, runMda, statusOf } from "../../lab/mda.ts";
import { run } from "../../lab/program.ts";
import { freePort, startRedis } from "../../lab/servers.ts";
import { startProgram } from "../../lab/streams/programs.ts";
import { sleep, waitFor } from "../../lab/wait.ts";
import { expected } from "./expected.ts";
import { freeAddress, labelsKey, scrape, type Scraped } from "./scrape.ts";

function series(scraped: Map<string, Scraped>, names: (name: string) => boolean): Record<string, number> {
  return Object.fromEntries(
    [...scraped.values()].filter(({ name }) => names(name)).flatMap(({ name, samples }) =>
      [...samples].map(([labels, value]) => [`${name}${labels}`, value])
    ),
  );
}

/** What no status has: mda's own, and histograms. */
const own =
  /^mda_(build_info|instance_info|reloads_total|last_reload_.*|(rule_)?connection_.*|first_message_.*)$/;

function one(scraped: Map<string, Scraped>, name: string, labels: Record<string, string> = {}): number {
  return scraped.get(name)!.samples.get(labelsKey(labels))!;
}

Deno.test("what /metrics says of redis is what mda status says", async () => {
  await using cgroup = createCgroup("metrics");
  const { address, url } = freeAddress();
  const config = "chain -p 1 -j RETURN\nchain -j ACCEPT\n";
  await using mda = await Mda.start({ cgroup, config, args: ["--unknown", "learn", "--metrics", address] });
  const port = freePort();
  await using _redis = await startRedis({ cgroup }, { port });
  // A second is how long a text may be old: none of it may be from before.
  const before = await scrape(url);
  assert.equal(one(before, "mda_redirected_messages_total"), 0);
  const benchmark = ["redis-benchmark", "-p", `${port}`, "-q", "-c", "50", "-n", "20000"];
  // The first connections make both programs known.
  await run({ cgroup }, [...benchmark, "-t", "ping_mbulk,set,get"]);
  await sleep(1100);
  const scraped = await scrape(url);
  const status = await mda.status();
  assert.ok(status.redirected.messages > 70_000, JSON.stringify(status.redirected));
  assert.deepEqual(series(scraped, (name) => !own.test(name)), expected(status));
  assert.equal(one(scraped, "mda_build_info", { version: manifest.version }), 1);
  const { cgroup: path, programs: { hooks, unknown } } = status;
  assert.equal(one(scraped, "mda_instance_info", { cgroup: path, hooks, unknown }), 1);
  await mda.stop();
  await assert.rejects(fetch(`${url}/healthz`));
});

Deno.test("/metrics counts reloads, and knows when the rules in force were read", async () => {
  await using cgroup = createCgroup("metrics");
  const { address, url } = freeAddress();
  const startedMs = Date.now();
  await using mda = await Mda.start({ cgroup, config: "chain -p 80\n", args: ["--metrics", address] });
  const result = async () => {
    const scraped = await scrape(url);
    const name = "mda_last_reload_success_timestamp_seconds";
    return {
      success: one(scraped, "mda_reloads_total", { result: "success" }),
      failure: one(scraped, "mda_reloads_total", { result: "failure" }),
      last: one(scraped, "mda_last_reload_successful"),
      readMs: one(scraped, name) * 1000,
      rules: one(scraped, "mda_rules"),
    };
  };
  const reload = async (text: string) => {
    const { success, failure } = await result();
    Deno.writeTextFileSync(mda.configFile, text);
    mda.program.kill("SIGHUP");
    return await waitFor("the reload", async () => {
      const now = await result();
      return now.success + now.failure > success + failure && now;
    });
  };
  const first = await result();
  assert.deepEqual({ ...first, readMs: 0 }, { success: 0, failure: 0, last: 1, readMs: 0, rules: 1 });
  assert.ok(first.readMs >= startedMs && first.readMs <= Date.now(), `${first.readMs}`);
  const changedMs = Date.now();
  const second = await reload("chain -p 80\nchain -p 81\n");
  assert.deepEqual({ ...second, readMs: 0 }, { success: 1, failure: 0, last: 1, readMs: 0, rules: 2 });
  assert.ok(second.readMs >= changedMs && second.readMs <= Date.now(), `${second.readMs}`);
  const third = await reload("chian\n");
  assert.deepEqual(third, { success: 1, failure: 1, last: 0, readMs: second.readMs, rules: 2 });
  await mda.stop();
});

Deno.test("/readyz is 200 while connections are accelerated, 503 while it stops, and /healthz is 200 in both", async () => {
  await using cgroup = createCgroup("metrics");
  const { address, url } = freeAddress();
  await using mda = await Mda.start({ cgroup, args: ["--metrics", address, "--drain-timeout", "20"] });
  const probe = async (path: string) => {
    const response = await fetch(`${url}${path}`);
    return [response.status, await response.text()];
  };
  await waitFor("/readyz", async () => (await probe("/readyz"))[0] === 200);
  await using holder = startProgram({ cgroup }, "held_back", 4);
  await holder.says(/sent \d+ bytes/);
  mda.program.kill("SIGTERM");
  await mda.program.says(/stopping/);
  assert.deepEqual(await probe("/readyz"), [503, "not accelerating\n"]);
  assert.deepEqual(await probe("/healthz"), [200, "alive\n"]);
  assert.equal(one(await scrape(url), "mda_up"), 0);
  await holder.tell("");
  await mda.program.ended();
});

Deno.test("before mda accelerates /readyz is 503", async () => {
  const { address, url } = freeAddress();
  using _server = new MetricsServer(
    listenAt({ address: "127.0.0.1", port: Number(address.split(":")[1]) }),
    newPinDir(),
  );
  const response = await fetch(`${url}/readyz`);
  assert.deepEqual([response.status, await response.text()], [503, "not accelerating\n"]);
  assert.equal(one(await scrape(url), "mda_up"), 0);
});

Deno.test("a port in use is said before anything is attached, and what was enabled goes on", async () => {
  await using cgroup = createCgroup("metrics");
  await using mda = await Mda.start({ cgroup });
  await mda.crash();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `127.0.0.1:${listener.addr.port}`;
  const own = ["--config", mda.configFile, "--cgroup", cgroup.path, "--metrics", address];
  const pinDir = newPinDir();
  for (const directory of [mda.pinDir, pinDir]) {
    const { code, stdout, stderr } = await runMda(["run", "--pin-dir", directory, ...own]);
    assert.deepEqual([code, stdout], [1, ""]);
    assert.equal(
      stderr,
      `mda: Cannot serve metrics on 127.0.0.1 port ${listener.addr.port}: it is in use (EADDRINUSE); another one is ` +
        "named with --metrics\n",
    );
  }
  assert.equal(pinsOf(pinDir), undefined);
  assert.equal((await statusOf(mda.pinDir)).code, 0);
  assert.equal((await runMda(["--pin-dir", mda.pinDir, "disable"])).code, 0);
});

Deno.test("metrics are served on IPv6, and on all addresses", async () => {
  await using cgroup = createCgroup("metrics");
  const hosts = { "[::1]": ["[::1]"], "": ["127.0.0.1", "[::1]"] };
  for (const [host, reached] of Object.entries(hosts)) {
    const port = freePort();
    await using mda = await Mda.start({ cgroup, args: ["--metrics", `${host}:${port}`] });
    for (const name of reached) assert.equal((await fetch(`http://${name}:${port}/healthz`)).status, 200);
    await mda.stop();
  }
});

Deno.test("clients that are slow or many are closed, and others are served meanwhile", async () => {
  await using cgroup = createCgroup("metrics");
  const { address, url } = freeAddress();
  await using mda = await Mda.start({ cgroup, args: ["--metrics", address] });
  const [hostname, port] = address.split(":");
  const connect = () => Deno.connect({ hostname, port: Number(port) });
  const ended = async (client: Deno.Conn) => {
    const answer = await client.read(new Uint8Array(1)).catch(() => null);
    client.close();
    return answer === null;
  };
  const startedMs = performance.now();
  const slow = await Promise.all(Array.from({ length: 16 }, connect));
  for (const client of slow) await client.write(new TextEncoder().encode("GET /metrics HTT"));
  await sleep(50);
  assert.ok((await scrape(url)).size > 10);
  assert.ok(await ended(slow.shift()!), "the oldest makes room");
  assert.ok(performance.now() - startedMs < 2500);
  assert.deepEqual(await Promise.all(slow.map(ended)), slow.map(() => true));
  assert.ok(performance.now() - startedMs > 2500);
  assert.equal((await fetch(`${url}/healthz`)).status, 200);
  await mda.stop();
});

const requests: [request: string, status: number][] = [
  ["GET /metrics?collect=all HTTP/1.0\r\n\r\n", 200],
  ["HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 200],
  ["GET / HTTP/1.1\r\n\r\n", 404],
  ["POST /metrics HTTP/1.1\r\n\r\n", 405],
  ["nonsense\r\n\r\n", 400],
  [`GET /${"x".repeat(9000)} HTTP/1.1\r\n\r\n`, 0],
];

Deno.test("a request is answered with the status that HTTP has for it, or not at all when it is too long", async () => {
  const port = freePort();
  using _server = new MetricsServer(listenAt({ address: "127.0.0.1", port }), newPinDir());
  for (const [request, status] of requests) {
    const client = await Deno.connect({ hostname: "127.0.0.1", port });
    await client.write(new TextEncoder().encode(request)).catch(() => {});
    const answer = await new Response(client.readable).text().catch(() => "");
    assert.equal(Number(/^HTTP\/1.1 (\d+) /.exec(answer)?.[1] ?? 0), status, request.slice(0, 40));
    const [head, body] = answer.split("\r\n\r\n");
    if (status !== 0 && !request.startsWith("HEAD")) {
      assert.equal(Number(/^Content-Length: (\d+)$/m.exec(head)![1]), body.length);
    }
  }
});
