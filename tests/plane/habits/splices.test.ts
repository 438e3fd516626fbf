/** Readers that receive, and begin to splice in mid-stream with bytes waiting: tests/lab/streams/splices.c. */
import assert from "node:assert/strict";
import { run } from "../../lab/program.ts";
import { Copies } from "../../lab/streams/copies.ts";
import { accelerated, ways } from "../../programs/accelerated.ts";
import { learning } from "./learning.ts";

const bytes = 1_000_000;
const timeoutMs = 70_000;

interface Case {
  copies: number;
  connections: number;
}

/** What is learnt of one connection is learnt once: each copy is a program of its own. */
const cases: Record<string, Case> = {
  "one connection of each of six programs that begins": { copies: 6, connections: 1 },
  "eight connections at once of a program that begins": { copies: 1, connections: 8 },
};

for (const [name, { copies: count, connections }] of Object.entries(cases)) {
  Deno.test(`every byte of ${name} to splice with bytes waiting is right`, async () => {
    await learning("learn", async ({ cgroup, mda, copies }) => {
      for (let copy = 0; copy < count; copy++) {
        const name = `splicer-${copy}`;
        const program = copies.add(name, "splices");
        const stream = (connections: number, seed: number, ...how: string[]) =>
          run({ cgroup }, [program, "4", `${connections}`, `${bytes}`, `${seed}`, ...how], { timeoutMs });
        await stream(1, copy + 1, "never");
        const growth = await mda.during(async () => {
          assert.match(await stream(connections, copy + 1), /every byte right/);
        });
        assert.ok(growth.messages > 0, JSON.stringify(growth));
        assert.deepEqual(
          (await mda.status()).programs.left.filter((program) => program.name === name),
          [{ name, why: "splices" }],
        );
        const later = await mda.during(() => stream(2, copy + 100));
        assert.deepEqual({ messages: later.messages, refused: later.refused }, {
          messages: 0,
          refused: { habit: 2 },
        });
      }
    });
  });
}

const whole = "it splices every byte\n";
const refused = ["the sender is told EACCES", "the stream ends after 0 bytes"];

for (const way of ways) {
  const what = way === "mda run" ? "are handed over" : "cost it the connection, which its sender is told,";
  Deno.test(`bytes that wait when a program first splices ${what} under ${way}`, async () => {
    using copies = new Copies();
    await accelerated(way, "late", async ({ place: { cgroup }, status, during }) => {
      const program = copies.add("late", "habits", ["-DCAN_SPLICE"]);
      const late = () => run({ cgroup }, [program, "late", "1", "100", "0"]);
      await run({ cgroup }, [program, "trips", "1", "100", "0"]);
      let said = "";
      const growth = await during(async () => (said = await late()));
      assert.ok(growth.messages > 0, JSON.stringify(growth));
      // Without a process, what the reader did not wait for was not redirected.
      if (way === "mda run" || said === whole) assert.equal(said, whole);
      else assert.deepEqual(said.trimEnd().split("\n").sort(), refused.toSorted());
      assert.deepEqual((await status()).programs.left, [{ name: "late", why: "splices" }]);
      assert.equal(await late(), whole);
    });
  });
}
