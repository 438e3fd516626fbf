import assert from "node:assert/strict";
import { createCgroup } from "../lab/cgroup.ts";
import { untilKnown } from "../lab/known.ts";
import { assertRedirected, Mda } from "../lab/mda.ts";
import { run } from "../lab/program.ts";
import { freePort, startRedis } from "../lab/servers.ts";
import { randomBytes, Stream } from "../lab/stream.ts";
import { waitFor } from "../lab/wait.ts";
import { accelerated, asByDefault, ways } from "./accelerated.ts";

Deno.test("redis serves redis-benchmark, accelerated", async () => {
  await using cgroup = createCgroup("redis");
  await using mda = await Mda.start({ cgroup, args: asByDefault });
  const port = freePort();
  await using _redis = await startRedis({ cgroup }, { port });
  const benchmark = ["redis-benchmark", "-p", `${port}`, "-q", "-c", "50", "-n", "20000", "-r", "1000"];
  const cli = (...words: string[]) => run({ cgroup }, ["redis-cli", "-p", `${port}`, ...words]);

  await untilKnown(mda, () => run({ cgroup }, [...benchmark.with(-3, "500"), "-t", "ping"]));
  const growth = await mda.during(() => run({ cgroup }, [...benchmark, "-d", "100", "-t", "set,incr"]));
  assertRedirected(growth, 2 * 2 * 20_000 * 0.95);
  assert.ok(growth.paired >= 2 * 50);

  // redis-cli connects in non-blocking mode and then waits in read(2): its connections enter, and leave unused. One that
  // always blocked, or never, would do as well.
  const { paired, messages, refused, left } = await mda.during(async () => {
    const values = await cli("eval", countersSum, "0");
    assert.equal(values.trim(), "20000");
    assert.equal((await cli("strlen", "key:000000000001")).trim(), "100");
  });
  const { blocking_client = 0, turns_blocking = 0, unknown = 0, ...others } = refused;
  assert.deepEqual([paired + blocking_client + turns_blocking + unknown, others], [2, {}]);
  if (blocking_client + turns_blocking + unknown + (left.blocking ?? 0) === 2) assert.equal(messages, 0);
  await mda.stop();
});

const countersSum = `
local sum = 0
for _, key in ipairs(redis.call('keys', 'counter:*')) do sum = sum + redis.call('get', key) end
return sum`;

Deno.test("redis returns every byte that was set, accelerated", async () => {
  await using cgroup = createCgroup("redis");
  await using mda = await Mda.start({ cgroup, args: asByDefault });
  const port = freePort();
  await using _redis = await startRedis({ cgroup }, { port });
  using _inside = cgroup.enter();
  await untilKnown(mda, () => setAndGet(port, 8));
  const growth = await mda.during(() =>
    Promise.all(Array.from({ length: 8 }, (_, client) => setAndGet(port, client)))
  );
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

for (const way of ways) {
  Deno.test(`redis counts every command of redis-benchmark's pipelines under ${way}`, async () => {
    await accelerated(way, "pipelines", async ({ place, during }) => {
      await using _redis = await startRedis(place, { port: 6379 });
      const benchmark = ["redis-benchmark", "-q", "-c", "20", "-n", "100000", "-P", "16", "-r", "1000"];
      await untilKnown({ during }, () => run(place, [...benchmark.with(-5, "1000"), "-t", "ping"]));
      const growth = await during(() => run(place, [...benchmark, "-t", "incr,lpush"]));
      assertRedirected(growth, 2 * 2 * 100_000 / 16 * 0.9);
      assert.equal(await run(place, ["redis-cli", "eval", countersSum, "0"]), "100000\n");
      assert.equal(await run(place, ["redis-cli", "llen", "mylist"]), "100000\n");
    });
  });

  Deno.test(`redis replicates a data set and what is written after it under ${way}`, async () => {
    await accelerated(way, "replicas", async ({ place, during }) => {
      const args = ["--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"];
      await using _redis = await startRedis(place, { port: 6379, args });
      await using _replica = await startRedis(place, { port: 6380, args });
      const fill = ["debug", "populate", "100000", "key", "500"];
      assert.equal(await run(place, ["redis-cli", ...fill]), "OK\n");
      // So the replica's connection is accelerated from its start.
      const ping = ["redis-benchmark", "-q", "-c", "4", "-n", "1000", "-t", "ping"];
      await untilKnown({ during }, () => run(place, ping));
      const follow = ["-p", "6380", "replicaof", "127.0.0.1", "6379"];
      assert.equal(await run(place, ["redis-cli", ...follow]), "OK\n");
      const state = ["redis-cli", "-p", "6380", "info", "replication"];
      await waitFor("the replica's data set", async () => /link_status:up/.test(await run(place, state)));
      const growth = await during(async () => {
        const benchmark = ["redis-benchmark", "-q", "-c", "4", "-n", "5000", "-r", "2000", "-d", "1000"];
        await run(place, [...benchmark, "-t", "set,incr"]);
        const acknowledged = await run(place, ["redis-cli", "wait", "1", "10000"]);
        assert.equal(acknowledged, "1\n");
      });
      // What the clients send and get is one part of it, what the replica gets the other.
      assertRedirected(growth, 2 * 2 * 5000 + 500);
      const digest = (port: number) => run(place, ["redis-cli", "-p", `${port}`, "debug", "digest"]);
      assert.equal(await digest(6380), await digest(6379));
      assert.equal(
        await run(place, ["redis-cli", "-p", "6380", "dbsize"]),
        await run(place, ["redis-cli", "dbsize"]),
      );
    });
  });
}

Deno.test("redis answers pipelines and tells all subscribers, every byte in order", async () => {
  await accelerated("mda run", "pubsub", async ({ place: { cgroup }, during }) => {
    const port = freePort();
    await using _redis = await startRedis({ cgroup }, { port });
    using _inside = cgroup.enter();
    await untilKnown({ during }, () => setAndGet(port, 8));
    const growth = await during(async () => {
      await Promise.all([
        publish(port, { subscribers: 20, messages: 300 }),
        ...Array.from({ length: 4 }, (_, client) => pipeline(port, client)),
      ]);
    });
    assertRedirected(growth, 20 * 300 + 300);
    assert.equal(growth.paired, 21 + 4);
  });
});

/** Publishes messages one after the other; each subscriber must get all of them. */
async function publish(
  port: number,
  { subscribers, messages }: { subscribers: number; messages: number },
): Promise<void> {
  await using streams = new AsyncDisposableStack();
  const open = async () => {
    const stream = await Stream.open(port);
    streams.defer(() => stream[Symbol.dispose]());
    return stream;
  };
  const readers = await Promise.all(Array.from({ length: subscribers }, open));
  const publisher = await open();
  for (const reader of readers) {
    await reader.write("SUBSCRIBE news\r\n");
    assert.deepEqual(await readLines(reader, 6), ["*3", "$9", "subscribe", "$4", "news", ":1"]);
  }
  for (let message = 0; message < messages; message++) {
    const bytes = randomBytes(1 + Math.floor(Math.random() * 2000));
    await publisher.write(`*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n$${bytes.length}\r\n`, bytes, "\r\n");
    assert.equal(await publisher.readLine(), `:${subscribers}`);
    await Promise.all(readers.map(async (reader) => {
      assert.deepEqual(
        await readLines(reader, 6),
        ["*3", "$7", "message", "$4", "news", `$${bytes.length}`],
      );
      assert.deepEqual(await reader.readBytes(bytes.length), bytes);
      assert.equal(await reader.readLine(), "");
    }));
  }
}

/** Sends 64 commands before it reads the first answer. */
async function pipeline(port: number, client: number): Promise<void> {
  using redis = await Stream.open(port);
  for (let round = 0; round < 50; round++) {
    const values = Array.from(
      { length: 32 },
      () => crypto.randomUUID().repeat(1 + Math.floor(Math.random() * 50)),
    );
    const commands = values.map((value, index) => {
      const key = `${client}:${round}:${index}`;
      return `SET ${key} ${value}\r\nGET ${key}\r\n`;
    });
    await redis.write(commands.join(""));
    for (const value of values) {
      assert.deepEqual(await readLines(redis, 3), ["+OK", `$${value.length}`, value]);
    }
  }
}

async function readLines(stream: Stream, count: number): Promise<string[]> {
  const lines: string[] = [];
  while (lines.length < count) lines.push(await stream.readLine());
  return lines;
}
