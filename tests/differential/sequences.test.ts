import assert from "node:assert/strict";
import { createCgroup } from "../lab/cgroup.ts";
import { Mda } from "../lab/mda.ts";
import { waitFor } from "../lab/wait.ts";
import { differences, linesOf, openSequences } from "./sequences.ts";

/** What a sequence is made of depends on its number only. */
const count = 300;

for (const unknown of ["learn", "fast"]) {
  Deno.test(`calls in any order, after anything, say what they say on TCP (--unknown ${unknown})`, async () => {
    await using cgroup = createCgroup("sequences");
    await using mda = await Mda.start({ cgroup, args: ["--unknown", unknown] });
    const growth = await mda.during(async () => {
      assert.deepEqual(await differences({ first: 0, count }, cgroup), []);
    });
    assert.ok(growth.paired >= count, JSON.stringify(growth));
    assert.ok(growth.messages > 4 * count, JSON.stringify(growth));
    await mda.stop();
  });
}

/** Sockets without callbacks are looked for every two seconds. */
const lookedForMs = 3000;

Deno.test("calls in any order on connections that were adopted say what they say on TCP", async () => {
  await using cgroup = createCgroup("sequences");
  const some = { first: 10_000, count: 100 };
  const told = await differences(some, cgroup, async (some, cgroup) => {
    await using running = await openSequences(some, lookedForMs, cgroup);
    if (!cgroup) {
      await running.tell("go");
      return await linesOf(running);
    }
    await using mda = await Mda.start({ cgroup });
    await waitFor(
      "the adoption of all",
      async () => (await mda.status()).connections.adopted >= some.count,
      { timeoutMs: 30_000 },
    );
    await running.tell("go");
    return await linesOf(running);
  });
  assert.deepEqual(told, []);
});
