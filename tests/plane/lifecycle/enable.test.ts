/** Acceleration without a process. */
import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { kernelObjectsOf, waitUntilFreed } from "../../lab/kernel_objects.ts";
import { Mda, newPinDir, pinsOf, runMda, statusOf, writeConfig } from "../../lab/mda.ts";
import { run } from "../../lab/program.ts";
import { Older } from "../../lab/streams/older.ts";
import { runProgram } from "../../lab/streams/programs.ts";
import { connecting } from "../../lab/talking.ts";
import { waitFor } from "../../lab/wait.ts";
import { Load } from "./load.ts";

/** What `mda enable` leaves behind; `await using` disables it. */
class Enabled implements AsyncDisposable {
  readonly pinDir = newPinDir();
  readonly config = writeConfig("");

  async mda(...args: string[]) {
    return await runMda(["--pin-dir", this.pinDir, ...args]);
  }

  /** As mda(), of a command that must succeed. Returns what it printed. */
  async succeed(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.mda(...args);
    assert.equal(code, 0, stderr);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mda("disable", "--drain-timeout", "1", "--force");
    Deno.removeSync(this.config);
  }
}

Deno.test("mda enable accelerates without a process until mda disable, which leaves nothing", async () => {
  await using cgroup = createCgroup("enable");
  await using enabled = new Enabled();
  await using load = await Load.start({ cgroup });
  const enable = ["enable", "--config", enabled.config, "--cgroup", cgroup.path];
  assert.equal((await enabled.mda("query")).code, 1);
  assert.match(
    await enabled.succeed(...enable),
    new RegExp(
      `^enabled for ${cgroup.path}; no rules, every local connection; \\d+ open connections adopted\n$`,
    ),
  );
  assert.equal(await enabled.succeed("query"), "enabled\n");
  const objects = await kernelObjectsOf(enabled.pinDir);
  assert.equal(objects.links.length, 1);
  const { status } = await statusOf(enabled.pinDir);
  assert.ok(status.enabled && status.connections.adopted > 0, JSON.stringify(status));
  await waitFor(
    "redirected messages",
    async () => (await statusOf(enabled.pinDir)).status.redirected.messages > 1000,
  );
  // Whoever had a map of it open would show in its fdinfo.
  const ids = objects.maps.map((id) => `-e 'map_id:.${id}$'`).join(" ");
  const users = await run({}, ["sh", "-c", `grep -lE ${ids} /proc/[0-9]*/fdinfo/* 2>/dev/null || true`]);
  assert.equal(users, "", "a process has maps of it open");
  assert.equal(await enabled.succeed("disable"), "disabled; every connection is on TCP\n");
  assert.equal(pinsOf(enabled.pinDir), undefined);
  await waitUntilFreed(objects);
  await load.stop();
  assert.equal(await enabled.succeed("disable"), "was not enabled\n");
  assert.equal((await enabled.mda("query")).stdout, "disabled\n");
});

Deno.test("mda enable on an enabled host replaces the rules and keeps the cgroup", async () => {
  await using cgroup = createCgroup("again");
  await using enabled = new Enabled();
  await enabled.succeed("enable", "--config", enabled.config, "--cgroup", cgroup.path);
  await using older = await Older.start({ cgroup });
  const objects = await kernelObjectsOf(enabled.pinDir);
  Deno.writeTextFileSync(enabled.config, "chain -p 1\nchain -p 2\n");
  assert.equal(
    await enabled.succeed("enable", "--config", enabled.config),
    `enabled anew for ${cgroup.path}; 2 rules; 0 open connections adopted\n`,
  );
  const { status } = await statusOf(enabled.pinDir);
  assert.deepEqual([status.rules, status.cgroup, status.connections.active], [2, cgroup.path, 10]);
  assert.deepEqual((await kernelObjectsOf(enabled.pinDir)).links, objects.links);
  await older.trips(10, 100);
  await enabled.succeed("disable");
});

Deno.test("mda run takes over what mda enable has left, and mda disable stops it", async () => {
  await using cgroup = createCgroup("take-over");
  await using enabled = new Enabled();
  await enabled.succeed("enable", "--config", enabled.config, "--cgroup", cgroup.path);
  await using older = await Older.start({ cgroup });
  const { pinDir } = enabled;
  await using mda = await Mda.start({ cgroup, pinDir });
  assert.match(mda.program.stderr, /ready: .*took over/);
  assert.equal((await mda.status()).connections.active, 10);
  const refused = await enabled.mda("enable", "--config", enabled.config, "--cgroup", cgroup.path);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, new RegExp(`process ${mda.pid} \\(mda\\) already uses it`));
  await older.trips(10, 100);
  assert.equal(
    await enabled.succeed("disable"),
    `disabled: process ${mda.pid} has stopped; every connection is on TCP\n`,
  );
  assert.equal((await mda.program.ended()).code, 0);
  await older.trips(10, 100);
});

/** What is sent while epoll watches the reader for nothing: 0 at first, as some programs add a socket before they say what for. */
const idle = `${connecting}client, server = connect()
epoll = select.epoll()
epoll.register(server, 0)
for _ in range(300):
    client.send(b"x")
    time.sleep(0.001)
    server.recv(10)`;

Deno.test("without a process, readers that epoll does not watch for bytes yet are left to TCP: they may be on edges soon", async () => {
  await using cgroup = createCgroup("watched");
  await using enabled = new Enabled();
  await enabled.succeed("enable", "--config", enabled.config, "--cgroup", cgroup.path);
  await run({ cgroup }, ["python3", "-c", idle]);
  const { status } = await statusOf(enabled.pinDir);
  assert.ok(status.passed.untended > 100 && status.redirected.messages === 0, JSON.stringify(status));
  await enabled.succeed("disable");
});

Deno.test("without a process, readers on edges are left to TCP", async () => {
  await using cgroup = createCgroup("untended");
  await using enabled = new Enabled();
  await enabled.succeed("enable", "--config", enabled.config, "--cgroup", cgroup.path);
  const seed = 1 + Math.floor(Math.random() * 1e6);
  await runProgram({ cgroup }, "stutter", 4, 4, 1000, seed, 4096, "edges");
  const { status } = await statusOf(enabled.pinDir);
  assert.ok(status.passed.untended > 100 && status.redirected.messages === 0, JSON.stringify(status));
  await enabled.succeed("disable");
});
