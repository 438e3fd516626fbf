import assert from "node:assert/strict";
import { createCgroup } from "../lab/cgroup.ts";
import { untilKnown } from "../lab/known.ts";
import { assertRedirected, Mda } from "../lab/mda.ts";
import { freePort, startMemcached } from "../lab/servers.ts";
import { randomBytes, Stream } from "../lab/stream.ts";
import { asByDefault } from "./accelerated.ts";

Deno.test("memcached returns every byte that was set, accelerated", async () => {
  await using cgroup = createCgroup("memcached");
  await using mda = await Mda.start({ cgroup, args: asByDefault });
  const port = freePort();
  await using _memcached = await startMemcached({ cgroup }, { port });
  using _inside = cgroup.enter();
  await untilKnown(mda, () => setAndGet(port, 8));
  const growth = await mda.during(() =>
    Promise.all(Array.from({ length: 8 }, (_, client) => setAndGet(port, client)))
  );
  assertRedirected(growth, 8 * 100 * 4);
  assert.equal(growth.paired, 8);
  await mda.stop();
});

async function setAndGet(port: number, client: number): Promise<void> {
  using memcached = await Stream.open(port);
  for (let round = 0; round < 100; round++) {
    const keys = [`${client}-${round}-a`, `${client}-${round}-b`];
    const values = keys.map(() => randomBytes(1 + Math.floor(Math.random() * 3000)));
    for (const [index, key] of keys.entries()) {
      await memcached.write(`set ${key} 0 0 ${values[index].length}\r\n`, values[index], "\r\n");
      assert.equal(await memcached.readLine(), "STORED");
    }
    await memcached.write(`get ${keys.join(" ")}\r\n`);
    for (const [index, key] of keys.entries()) {
      assert.equal(await memcached.readLine(), `VALUE ${key} 0 ${values[index].length}`);
      assert.deepEqual(await memcached.readBytes(values[index].length), values[index]);
      assert.equal(await memcached.readLine(), "");
    }
    assert.equal(await memcached.readLine(), "END");
  }
}
