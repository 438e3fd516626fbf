/** More connections than there is room for. */
import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { assertRedirected, Mda, newPinDir, runMda, writeConfig } from "../../lab/mda.ts";
import { Older } from "../../lab/streams/older.ts";
import { sleep, waitFor } from "../../lab/wait.ts";

const room = 4;
const small = ["--max-connections", `${room}`];

const warning = new RegExp(
  `warning the sockhash is full: ${room} connections accelerated, more stay on TCP; stop mda and start it with a ` +
    "larger --max-connections$",
  "m",
);

/** How often it was warned. */
const warnings = (said: string) => said.split(warning).length - 1;

Deno.test("connections beyond the room stay on TCP, are counted, and one warning says what to do", async () => {
  await using cgroup = createCgroup("full");
  await using mda = await Mda.start({ cgroup, args: [...small, "--no-adopt"] });
  {
    await using first = await Older.start({ cgroup }, { connections: room / 2 });
    await using second = await Older.start({ cgroup }, { connections: room / 2 });
    const growth = await mda.during(async () => {
      await using third = await Older.start({ cgroup }, { connections: 3 });
      await third.trips(10, 100);
    });
    assert.deepEqual([growth.paired, growth.messages, growth.refused], [0, 0, { map_full: 3 }]);
    await mda.program.says(warning);
    // After a second without one, a message of each direction goes through TCP (bpf/refresh.h).
    assertRedirected(await mda.during(() => Promise.all([first.trips(50, 100), second.trips(50, 100)])), 380);
    // Time to warn again.
    await using _fourth = await Older.start({ cgroup }, { connections: 1 });
    await sleep(1500);
  }
  await waitFor("the sockets to close", async () => (await mda.status()).connections.active === 0);
  await using later = await Older.start({ cgroup }, { connections: room / 2 });
  assertRedirected(await mda.during(() => later.trips(10, 100)), 38);
  assert.equal(warnings(await mda.stop()), 1);
});

Deno.test("of more open connections than there is room for, some are adopted, and others when there is room", async () => {
  await using cgroup = createCgroup("adopt-full");
  await using pairs = new AsyncDisposableStack();
  const olders: Older[] = [];
  for (let i = 0; i < room; i++) {
    olders.push(pairs.use(await Older.start({ cgroup }, { connections: 2 })));
  }
  await using mda = await Mda.start({ cgroup, args: small });
  await mda.program.says(warning);
  const { connections } = await mda.status();
  assert.deepEqual([connections.adopted, connections.active], [room, room]);
  const growth = await mda.during(() => Promise.all(olders.map((older) => older.trips(10, 100))));
  // After a second without one, a message of each direction goes through TCP (bpf/refresh.h).
  assert.equal(growth.messages + (growth.passed.refresh ?? 0), room * 10 * 2);
  for (const older of olders.splice(0, room / 2)) await older[Symbol.asyncDispose]();
  await waitFor("the last to be adopted", async () => {
    // Those that were adopted and closed, and those that were not and are now.
    const { adopted, active } = (await mda.status()).connections;
    return active === room && adopted >= room;
  });
  assertRedirected(await mda.during(() => Promise.all(olders.map((older) => older.trips(50, 100)))), 380);
  assert.equal(warnings(await mda.stop()), 1);
  for (const older of olders) await older.trips(1, 100);
});

Deno.test("connections whose clients are silent for long are accelerated from their first message on", async () => {
  await using cgroup = createCgroup("silent");
  await using mda = await Mda.start({ cgroup, args: ["--no-adopt"] });
  const connections = 200;
  // All of them are open before the first client sends.
  await using older = await Older.start({ cgroup }, { connections });
  assert.equal((await mda.status()).connections.paired, connections);
  assertRedirected(await mda.during(() => older.trips(10, 100)), 0.95 * connections * 10 * 2);
  await mda.stop();
});

Deno.test("mda enable says what it has no room for, and that maps in use keep their size", async () => {
  await using cgroup = createCgroup("enable-full");
  await using _older = await Older.start({ cgroup }, { connections: room + 1 });
  const config = writeConfig("");
  const pinDir = newPinDir();
  const enable = (...more: string[]) =>
    runMda(["--pin-dir", pinDir, "enable", "--config", config, "--cgroup", cgroup.path, ...more]);
  try {
    const { code, stdout, stderr } = await enable(...small);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /; 4 open connections adopted$/m);
    assert.equal(
      stderr,
      "mda: there is no room for more connections; disable, and enable with a larger --max-connections\n",
    );
    const again = await enable("--max-connections", "100", "--no-adopt");
    assert.equal(again.code, 0, again.stderr);
    assert.match(
      again.stderr,
      /warning there is room for 4 connections and not for 100: .* mda disable removes them$/m,
    );
  } finally {
    await runMda(["--pin-dir", pinDir, "disable"]);
    Deno.removeSync(config);
  }
});
