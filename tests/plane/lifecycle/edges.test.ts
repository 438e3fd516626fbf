/** Readers that wait for edges, and that mda leaves. */
import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { Mda, newPinDir, runMda, writeConfig } from "../../lab/mda.ts";
import { runProgram } from "../../lab/streams/programs.ts";
import { sleep } from "../../lab/wait.ts";

const streamsMs = 9000;
/** The streams take for a stall what is waited for for 10 s. */
const stallMs = 10_000;

for (const how of ["stops", "is killed and disabled"]) {
  Deno.test(`readers on edges that are behind when mda ${how} read on`, async () => {
    await using cgroup = createCgroup("edges");
    const pinDir = newPinDir();
    let ended = false;
    // It gives way to mda, which then starts and stops more often.
    const seed = 1 + Math.floor(Math.random() * 1e6);
    const streams = runProgram({ cgroup, nice: 19 }, "stutter", 4, 16, streamsMs, seed, 4096, "edges")
      .finally(() => (ended = true));
    let rounds = 0, full = 0;
    while (!ended) {
      await using mda = await Mda.start({ cgroup, pinDir });
      await sleep(300);
      full += (await mda.status()).passed.full!;
      if (how === "stops") await mda.stop();
      else {
        await mda.crash();
        assert.equal((await runMda(["--pin-dir", pinDir, "disable"])).code, 0);
      }
      rounds++;
    }
    await streams;
    assert.ok(rounds >= 2 && full > 0, `seed ${seed}: ${rounds} rounds, ${full} messages to full readers`);
  });
}

Deno.test("readers on edges that are behind when mda is killed and enabled without a process read on", async () => {
  await using cgroup = createCgroup("edges");
  const pinDir = newPinDir(), config = writeConfig("");
  const seed = 1 + Math.floor(Math.random() * 1e6);
  const ms = 2000 + stallMs + 1000;
  const streams = runProgram({ cgroup, nice: 19 }, "stutter", 4, 16, ms, seed, 4096, "edges");
  {
    await using mda = await Mda.start({ cgroup, pinDir });
    await sleep(300);
    const { passed } = await mda.status();
    assert.ok(passed.full! > 0, `seed ${seed}: no message to a full reader`);
    await mda.crash();
    const args = ["--pin-dir", pinDir, "enable", "--config", config, "--cgroup", cgroup.path];
    const { code, stderr } = await runMda(args);
    assert.equal(code, 0, stderr);
    // Who was left behind would stand still until the end.
    await streams;
    assert.equal((await runMda(["--pin-dir", pinDir, "disable"])).code, 0);
  }
  Deno.removeSync(config);
});
