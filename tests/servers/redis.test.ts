import assert from "node:assert/strict";
import { createCgroup } from "../lab/cgroup.ts";
import { assertRedirected, Mda } from "../lab/mda.ts";
import { run } from "../lab/program.ts";
import { freePort, startRedis } from "../lab/servers.ts";
import { randomBytes, Stream } from "./stream.ts";

Deno.test("redis serves redis-benchmark, accelerated", async () => {
  await using cgroup = createCgroup("redis");
  await using mda = await Mda.start({ cgroup });
  const port = freePort();
  await using _redis = await startRedis({ cgroup }, { port });
  const benchmark = ["redis-benchmark", "-p", `${port}`, "-q", "-c", "50", "-n", "20000", "-r", "1000"];
  const cli = (...words: string[]) => run({ cgroup }, ["redis-cli", "-p", `${port}`, ...words]);

  const growth = await mda.during(() => run({ cgroup }, [...benchmark, "-d", "100", "-t", "set,incr"]));
  assertRedirected(growth, 2 * 2 * 20_000 * 0.95);
  assert.ok(growth.paired >= 2 * 50);

  // redis-cli connects in non-blocking mode and then waits in read(2): its connections enter, and leave unused.
  const blocking = await mda.during(async () => {
    const values = await cli("eval", countersSum, "0");
    assert.equal(values.trim(), "20000");
    assert.equal((await cli("strlen", "key:000000000001")).trim(), "100");
  });
  assert.equal(blocking.messages, 0);
  assert.equal(blocking.left.blocking, 2);
  await mda.stop();
});

const countersSum = `
local sum = 0
for _, key in ipairs(redis.call('keys', 'counter:*')) do sum = sum + redis.call('get', key) end
return sum`;

Deno.test("redis returns every byte that was set, accelerated", async () => {
  await using cgroup = createCgroup("redis");
  await using mda = await Mda.start({ cgroup });
  const port = freePort();
  await using _redis = await startRedis({ cgroup }, { port });
  const growth = await mda.during(async () => {
    using _inside = cgroup.enter();
    await Promise.all(Array.from({ length: 8 }, (_, client) => setAndGet(port, client)));
  });
  assertRedirected(growth, 8 * 2 * 200);
  assert.equal(growth.paired, 8);
  await mda.stop();
});

async function setAndGet(port: number, client: number): Promise<void> {
  using redis = await Stream.open(port);
  for (let round = 0; round < 200; round++) {
    const key = `${client}:${round}`;
    const value = randomBytes(1 + Math.floor(Math.random() * 3000));
    const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`;
    await redis.write(`*3\r\n$3\r\nSET\r\n${bulk(key)}$${value.length}\r\n`, value, "\r\n");
    assert.equal(await redis.readLine(), "+OK");
    await redis.write(`*2\r\n$3\r\nGET\r\n${bulk(key)}`);
    assert.equal(await redis.readLine(), `$${value.length}`);
    assert.deepEqual(await redis.readBytes(value.length), value);
    assert.equal(await redis.readLine(), "");
  }
}
