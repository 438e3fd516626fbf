import assert from "node:assert/strict";
import { createCgroup } from "../lab/cgroup.ts";
import { kernelObjectsOf, waitUntilFreed } from "../lab/kernel_objects.ts";
import { binary, Mda, newPinDir, removePins, statusOf, writeConfig } from "../lab/mda.ts";
import { start } from "../lab/program.ts";
import { sleep, waitFor } from "../lab/wait.ts";
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
