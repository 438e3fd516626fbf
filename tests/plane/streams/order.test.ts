import assert from "node:assert/strict";
import { redirectedShare } from "../../lab/mda.ts";
import { accelerated } from "../../lab/streams/accelerated.ts";
import { runProgram } from "../../lab/streams/programs.ts";

const connections = 3000;

for (const kind of ["ordinary", "defer"]) {
  for (const family of [4, 6]) {
    const listener = kind === "defer" ? "a TCP_DEFER_ACCEPT listener" : "an ordinary listener";
    Deno.test(`quick first sends of ${connections} connections to ${listener} keep their order, IPv${family}`, async () => {
      await accelerated("order", async (mda, cgroup) => {
        for (const concurrent of [1, 50]) {
          const growth = await mda.during(async () => {
            await runProgram({ cgroup }, "order", family, kind, connections, concurrent);
          });
          assert.equal(growth.paired, connections);
          assert.ok(redirectedShare(growth) > 0.5, JSON.stringify(growth));
        }
      });
    });
  }
}

const readers = {
  poll: { how: "that poll", messageSizes: [500, 4096, 16_384] },
  edges: { how: "that wait for edges", messageSizes: [4096] },
};

for (const [kind, { how, messageSizes }] of Object.entries(readers)) {
  // All below what mda leaves to TCP as bulk.
  for (const messageMax of messageSizes) {
    Deno.test(`messages of up to ${messageMax} bytes to stuttering readers ${how} keep their order`, async () => {
      const seed = 1 + Math.floor(Math.random() * 1_000_000);
      await accelerated("stutter", async (mda, cgroup) => {
        let output = "";
        const growth = await mda.during(async () => {
          output = await runProgram({ cgroup }, "stutter", 4, 4, 2500, seed, messageMax, kind);
        });
        const what = `seed ${seed}: ${output} ${JSON.stringify(growth)}`;
        const [, bytes] = /(\d+) bytes, every byte right/.exec(output)!;
        assert.ok(growth.bytes > 0 && growth.bytes < Number(bytes), what);
        // Each time a reader is full, its stream goes over to TCP, and comes back later.
        assert.ok(growth.passed.full >= 10, what);
        assert.ok(growth.passed.unread > 0, what);
      });
    });
  }
}

Deno.test("a stream that TCP carries for 4 GiB keeps its order", async () => {
  await accelerated("wrap", async (mda, cgroup) => {
    const growth = await mda.during(async () => {
      await runProgram({ cgroup }, "wrap", 4);
    });
    assert.ok(growth.messages > 0 && growth.passed.full > 0, JSON.stringify(growth));
  });
});
