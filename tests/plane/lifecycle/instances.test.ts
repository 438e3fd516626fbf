import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import {
  assertRedirected,
  binary,
  Mda,
  newPinDir,
  pinsOf,
  removePins,
  runMda,
  statusOf,
  writeConfig,
} from "../../lab/mda.ts";
import { type Program, run, start } from "../../lab/program.ts";
import { freePort, startRedis } from "../../lab/servers.ts";

Deno.test("a second instance on the same pin directory is refused with a line that names the first", async () => {
  await using cgroup = createCgroup("second");
  await using other = createCgroup("second");
  await using first = await Mda.start({ cgroup });
  const command = ["run", "--config", first.configFile, "--cgroup", other.path, "--pin-dir", first.pinDir];
  const { code, stderr } = await runMda(command);
  assert.equal(code, 1);
  assert.match(
    stderr,
    new RegExp(`^mda: Cannot use the pin directory ${first.pinDir}: process ${first.pid} \\(\\S+\\) .*\n$`),
  );
  const status = await first.status();
  assert.equal(status.cgroup, cgroup.path);
  await first.stop();
});

Deno.test("two instances work side by side, each for its own cgroup", async () => {
  await using one = createCgroup("one");
  await using other = createCgroup("other");
  await using mdaOfOne = await Mda.start({ cgroup: one });
  await using mdaOfOther = await Mda.start({ cgroup: other });
  const [port, otherPort] = [freePort(), freePort()];
  await using _redis = await startRedis({ cgroup: one }, { port });
  await using _otherRedis = await startRedis({ cgroup: other }, { port: otherPort });
  const load = (cgroup: typeof one, port: number) =>
    run({ cgroup }, ["redis-benchmark", "-p", `${port}`, "-q", "-t", "get", "-c", "10", "-n", "5000"]);

  const otherBefore = await mdaOfOther.status();
  const growth = await mdaOfOne.during(() => load(one, port));
  assertRedirected(growth, 9500);
  assert.deepEqual(await mdaOfOther.status(), otherBefore);

  // From one cgroup to the other, neither has both ends.
  const across = await mdaOfOne.during(() => load(one, otherPort));
  assert.deepEqual([across.paired, across.messages], [0, 0]);
  assert.ok(across.refused.not_local >= 10, JSON.stringify(across));

  await mdaOfOne.stop();
  assertRedirected(await mdaOfOther.during(() => load(other, otherPort)), 9500);
  await mdaOfOther.stop();
});

Deno.test("status exits with 0 while connections are accelerated, and with 1 before and after", async () => {
  await using cgroup = createCgroup("status");
  const pinDir = newPinDir();
  const never = await statusOf(pinDir);
  assert.equal(never.code, 1);
  assert.equal(never.status.enabled, false);
  await using mda = await Mda.start({
    cgroup,
    pinDir,
    config: "chain --port 22 -j RETURN\nchain -j ACCEPT\n",
  });
  const running = await statusOf(pinDir);
  assert.equal(running.code, 0);
  assert.deepEqual(
    [running.status.enabled, running.status.cgroup, running.status.rules],
    [true, cgroup.path, 2],
  );
  await mda.stop();
  assert.deepEqual(await statusOf(pinDir), never);
});

Deno.test("a bad configuration starts nothing, and what runs goes on", async () => {
  await using cgroup = createCgroup("bad");
  const bad = writeConfig("chain --port 80\nchain --prot 81\nchain --ip 1.2.3.4.5\n");
  try {
    const pinDir = newPinDir();
    const runWith = (pinDir: string) =>
      runMda(["run", "--config", bad, "--cgroup", cgroup.path, "--pin-dir", pinDir]);
    const { code, stderr } = await runWith(pinDir);
    assert.equal(code, 2);
    assert.match(stderr, new RegExp(`${bad}:2:7: `));
    assert.match(stderr, new RegExp(`${bad}:3:12: `));
    assert.throws(() => Deno.statSync(pinDir), Deno.errors.NotFound);

    await using mda = await Mda.start({ cgroup, config: "chain --port 80\n" });
    const before = await mda.status();
    assert.equal((await runWith(mda.pinDir)).code, 2);
    assert.deepEqual(await mda.status(), before);
    await mda.stop();
  } finally {
    Deno.removeSync(bad);
  }
});

/** Starts commands of mda at the same moment, and tells of each how it went: it is ready, or ended. */
async function atOnce(commands: string[][]): Promise<AsyncDisposable & { programs: Program[] }> {
  await using stack = new AsyncDisposableStack();
  const programs = commands.map((args) => stack.use(start({}, [binary, ...args])));
  await Promise.all(
    programs.map((program) => Promise.race([program.says(/ready: /), program.ended()]).catch(() => {})),
  );
  const kept = stack.move();
  return { programs, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

Deno.test("of six instances that start at the same moment one works, and the others say which", async () => {
  await using cgroup = createCgroup("six");
  const config = writeConfig("");
  const pinDir = newPinDir();
  try {
    for (let round = 0; round < 3; round++) {
      const command = ["run", "--config", config, "--cgroup", cgroup.path, "--pin-dir", pinDir];
      await using all = await atOnce(Array(6).fill(command));
      const [winner, ...others] = all.programs.toSorted((a, b) => Number(b.running) - Number(a.running));
      assert.match(winner.stderr, /ready: /);
      for (const other of others) {
        assert.equal((await other.ended()).code, 1, other.stderr);
        assert.match(
          other.stderr,
          new RegExp(
            `^mda: Cannot use the pin directory ${pinDir}: process ${winner.pid} \\(mda\\) already uses it; .*\n$`,
          ),
        );
      }
      assert.equal((await statusOf(pinDir)).status.process, winner.pid);
      assert.equal((await winner.stop()).code, 0);
      assert.equal(pinsOf(pinDir), undefined);
    }
  } finally {
    Deno.removeSync(config);
    removePins(pinDir);
  }
});

Deno.test("whatever is done at the same moment, each command does it or says who is at work", async () => {
  await using cgroup = createCgroup("at-once");
  const config = writeConfig("");
  const pinDir = newPinDir();
  const where = ["--config", config, "--cgroup", cgroup.path];
  const commands = [["run", ...where], ["enable", ...where], ["disable"], ["reload"], ["disable"], [
    "status",
  ]];
  try {
    for (let round = 0; round < 6; round++) {
      const order = commands.map((_, index) => commands[(index + round) % commands.length]);
      await using all = await atOnce(order.map((args) => [...args, "--pin-dir", pinDir]));
      for (const [index, program] of all.programs.entries()) {
        if (program.running) continue;
        const [name] = order[index];
        const { code, signal } = await program.status;
        const said = `${name}: ${signal ?? code}: ${program.stderr}`;
        assert.equal(signal, null, said);
        if (code === 0 || name === "status" && program.stderr === "") continue;
        assert.equal(code, 1, said);
        assert.match(
          program.stderr,
          /^mda: Cannot (use .*: process \d+ \(mda\) already uses|reload: nothing is)/,
          said,
        );
      }
      const { code, stderr } = await runMda(["disable", "--pin-dir", pinDir]);
      assert.deepEqual([code, stderr], [0, ""]);
      assert.equal(pinsOf(pinDir), undefined);
    }
  } finally {
    Deno.removeSync(config);
    removePins(pinDir);
  }
});
