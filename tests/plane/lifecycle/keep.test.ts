/** `mda run --keep`: a process that goes and leaves acceleration on. */
import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { difference, Mda, newPinDir, runMda, statusOf } from "../../lab/mda.ts";
import { Older } from "../../lab/streams/older.ts";
import { runProgram } from "../../lab/streams/programs.ts";
import { sleep, waitFor } from "../../lab/wait.ts";

/** Ends an mda that was started with --keep, as an upgrade does. */
async function leave(mda: Mda): Promise<void> {
  const { code } = await mda.program.stop("SIGTERM", 15_000);
  assert.equal(code, 0, mda.program.stderr);
  assert.match(mda.program.stderr, /stopped: connections go on being accelerated by what is pinned at /);
}

Deno.test("mda run --keep leaves its connections accelerated, and the next takes them over", async () => {
  await using cgroup = createCgroup("keep");
  const pinDir = newPinDir();
  const args = ["--keep"];
  const mda = await Mda.start({ cgroup, pinDir, args });
  await using older = await Older.start({ cgroup });
  await older.trips(10, 100);
  await leave(mda);

  const { code, status: left } = await statusOf(pinDir);
  assert.deepEqual([code, left.enabled, left.process, left.connections.active], [0, true, null, 10]);
  await older.trips(10, 100);
  const alone = difference(left, (await statusOf(pinDir)).status);
  // What comes for a reader that does not wait just then is passed: it may wait for edges.
  assert.ok(alone.messages > 50, JSON.stringify(alone));

  await using next = await Mda.start({ cgroup, pinDir });
  await next.program.says(/; took over$/m);
  await older.trips(10, 100);
  const after = difference(left, await next.status());
  assert.ok(after.messages - alone.messages > 150, JSON.stringify(after));
  assert.deepEqual([after.paired, after.adopted], [0, 0]);
  await next.stop();
  await older.trips(10, 100);
});

Deno.test("readers on edges miss nothing while one mda run --keep after the other goes", async () => {
  await using cgroup = createCgroup("keep");
  const pinDir = newPinDir();
  const args = ["--keep"];
  let ended = false;
  const seed = 1 + Math.floor(Math.random() * 1e6);
  const streams = runProgram({ cgroup }, "stutter", 4, 8, 6000, seed, 4096, "edges").finally(() =>
    ended = true
  );
  let rounds = 0;
  for (; !ended && rounds < 10; rounds++) {
    const mda = await Mda.start({ cgroup, pinDir, args });
    await waitFor(
      "redirected messages",
      async () => ended || (await mda.status()).redirected.messages > 100 * rounds,
    );
    await leave(mda);
    await sleep(100);
  }
  await streams;
  assert.ok(rounds >= 2, `only ${rounds} rounds`);
  assert.equal(
    (await runMda(["--pin-dir", pinDir, "disable"])).stdout,
    "disabled; every connection is on TCP\n",
  );
});
