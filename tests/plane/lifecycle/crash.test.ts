import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { kernelObjectsOf, waitUntilFreed } from "../../lab/kernel_objects.ts";
import { binary, Mda, newPinDir, removePins, runMda, statusOf, writeConfig } from "../../lab/mda.ts";
import { start } from "../../lab/program.ts";
import { Older } from "../../lab/streams/older.ts";
import { killingAt, recorded, recording } from "../../lab/system_calls.ts";
import { sleep, waitFor } from "../../lab/wait.ts";
import { Load } from "./load.ts";

Deno.test("what a killed mda leaves goes on working, says so, and is taken over by the next", async () => {
  await using cgroup = createCgroup("crash");
  await using load = await Load.start({ cgroup });
  const pinDir = newPinDir();
  await using killed = await Mda.start({ cgroup, pinDir });
  await waitFor("redirected messages", async () => (await killed.status()).redirected.messages > 100);
  const objects = await kernelObjectsOf(pinDir);
  await killed.crash();

  const { code, status } = await statusOf(pinDir);
  assert.equal(code, 0);
  assert.equal(status.enabled, true);
  assert.equal(status.cgroup, cgroup.path);
  await sleep(500);
  const later = (await statusOf(pinDir)).status;
  assert.ok(later.redirected.messages > status.redirected.messages, "acceleration ended with the process");
  assert.ok(
    later.connections.paired > status.connections.paired,
    "new connections are not accelerated any more",
  );
  load.check();

  await using next = await Mda.start({ cgroup, pinDir });
  assert.match(next.program.stderr, /ready: .*took over/);
  const taken = await next.status();
  assert.ok(taken.redirected.messages >= later.redirected.messages, "the counters began anew");
  const nextObjects = await kernelObjectsOf(pinDir);
  assert.equal(nextObjects.links.length, 1, "the killed one's link is still there");
  await waitFor("redirected messages", async () => (await next.status()).connections.active > 0);
  assert.match(await next.stop(), /stopped: every connection is on TCP$/m);
  await waitUntilFreed(objects);
  await waitUntilFreed(nextObjects);
  await load.stop();
});

Deno.test("a crash at any moment of a start or a stop is mended by the next start", async () => {
  await using cgroup = createCgroup("crash-start");
  await using load = await Load.start({ cgroup });
  const config = writeConfig("");
  const pinDir = newPinDir();
  const command = [binary, "run", "--config", config, "--cgroup", cgroup.path, "--pin-dir", pinDir];
  try {
    for (const startMs of [150, 250, 350, 450, 550, 650, 750, 850]) {
      await using killed = start({}, command);
      await sleep(startMs);
      await killed.stop("SIGKILL");
      await statusOf(pinDir);
    }
    for (const stopMs of [0, 5, 50, 200, 500]) {
      await using stopping = start({}, command);
      await stopping.says(/ready: /);
      stopping.kill("SIGTERM");
      await sleep(stopMs);
      await stopping.stop("SIGKILL");
      await statusOf(pinDir);
    }
    load.check();
    await using mda = await Mda.start({ cgroup, pinDir });
    const objects = await kernelObjectsOf(pinDir);
    await waitFor("redirected messages", async () => (await mda.status()).redirected.messages > 100);
    await mda.stop();
    await waitUntilFreed(objects);
    await load.stop();
  } finally {
    Deno.removeSync(config);
    removePins(pinDir);
  }
});

Deno.test("status says disabled when the cgroup of a killed mda is gone", async () => {
  const pinDir = newPinDir();
  const cgroup = createCgroup("crash-cgroup");
  await using mda = await Mda.start({ cgroup, pinDir });
  await mda.crash();
  assert.equal((await statusOf(pinDir)).code, 0);
  await cgroup[Symbol.asyncDispose]();
  const { code, status } = await waitFor("the link to be detached", async () => {
    const answer = await statusOf(pinDir);
    return answer.code === 1 && answer;
  });
  assert.equal(code, 1);
  assert.equal(status.enabled, false);

  await using other = createCgroup("crash-cgroup");
  await using next = await Mda.start({ cgroup: other, pinDir });
  assert.equal((await next.status()).cgroup, other.path);
  await next.stop();
});

Deno.test("a connection that a killed mda was about to adopt is adopted by the next, or let go", async () => {
  await using cgroup = createCgroup("crash-adoption");
  const config = writeConfig("");
  const pinDir = newPinDir();
  const mda = async (name: string, ...args: string[]) => {
    const { code, stdout, stderr } = await runMda([name, "--pin-dir", pinDir, ...args]);
    assert.deepEqual([code, stderr], [0, ""]);
    return stdout;
  };
  const where = ["--config", config, "--cgroup", cgroup.path];
  const enable = [binary, "enable", "--pin-dir", pinDir, ...where];
  const file = Deno.makeTempFileSync({ prefix: "mda-test-" });
  try {
    await using older = await Older.start({ cgroup }, { connections: 1 });
    await using whole = start({}, recording(file, enable));
    await whole.ended();
    await mda("disable");
    const calls = recorded(file);
    const adopting = calls.slice(calls.findLastIndex(({ line }) => line.includes("BPF_ITER_CREATE")));
    const inserting = adopting.filter(({ line }) => line.includes("BPF_MAP_UPDATE_ELEM"));
    assert.equal(inserting.length, 2, adopting.map(({ line }) => line).join("\n"));
    // Before each, and before what follows it: the program that makes two sockets a pair.
    const follows = (index: number) => inserting.includes(adopting[index - 1]);
    for (const call of adopting.filter((call, index) => inserting.includes(call) || follows(index))) {
      for (const next of ["disable", "enable"]) {
        await using killed = start({}, killingAt(call, enable));
        assert.equal((await killed.ended()).signal, "SIGKILL");
        if (next === "enable") {
          assert.match(await mda("enable", ...where), /^enabled anew for /);
          assert.equal((await statusOf(pinDir)).status.connections.active, 1);
          await older.trips(10, 100);
        }
        assert.equal(await mda("disable"), "disabled; every connection is on TCP\n");
        await older.trips(10, 100);
      }
    }
  } finally {
    Deno.removeSync(file);
    Deno.removeSync(config);
    removePins(pinDir);
  }
});
