import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import {
  assertRedirected,
  binary,
  Mda,
  newPinDir,
  removePins,
  runMda,
  statusOf,
  writeConfig,
} from "../../lab/mda.ts";
import { OwnConnection } from "../../lab/own_connection.ts";
import { start } from "../../lab/program.ts";
import { Older } from "../../lab/streams/older.ts";
import { waitFor } from "../../lab/wait.ts";

function pass(pinDir: string, ...args: string[]) {
  return start({}, [binary, "--pin-dir", pinDir, "pass", ...args]);
}

Deno.test("mda pass has open and new connections on TCP, loses nothing, and takes them back", async () => {
  await using cgroup = createCgroup("pass");
  await using mda = await Mda.start({ cgroup });
  await using older = await Older.start({ cgroup });
  assertRedirected(await mda.during(() => older.trips(10, 100)), 190);
  await using asked = pass(mda.pinDir, "--ip", "127.0.0.0/8", "--for", "60");
  await asked.says(/^on TCP: 10 connections/m);
  assert.equal((await mda.during(() => older.trips(10, 100))).messages, 0);
  const { passing } = await mda.status();
  assert.deepEqual(passing.map(({ filter, process }) => [filter, process]), [[
    "--ip 127.0.0.0/8",
    asked.pid,
  ]]);
  const growth = await mda.during(async () => {
    await using later = await Older.start({ cgroup });
    await later.trips(10, 100);
  });
  assert.deepEqual([growth.paired, growth.messages, growth.refused.on_request], [0, 0, 10]);
  asked.kill("SIGINT");
  await asked.says(/^taken back/m);
  await waitFor("adoption", async () => (await mda.status()).connections.active === 10);
  assertRedirected(await mda.during(() => older.trips(10, 100)), 190);
  assert.deepEqual((await mda.status()).passing, []);
  await mda.stop();
});

Deno.test("what mda pass asked for is over when it is killed", async () => {
  await using cgroup = createCgroup("pass-killed");
  await using mda = await Mda.start({ cgroup });
  await using older = await Older.start({ cgroup });
  await older.trips(1, 100);
  await using asked = pass(mda.pinDir, "--all");
  await asked.says(/^on TCP: /m);
  await asked.stop("SIGKILL");
  await waitFor("adoption", async () => (await mda.status()).connections.active === 10, {
    timeoutMs: 20_000,
  });
  assert.deepEqual((await mda.status()).passing, []);
  assertRedirected(await mda.during(() => older.trips(10, 100)), 190);
  await mda.stop();
});

for (const [gone, count] of [["client", 0], ["server", 1]] as const) {
  Deno.test(`mda pass has half a connection on TCP whose ${gone} is gone`, async () => {
    await using cgroup = createCgroup(`pass-half-${gone}`);
    await using mda = await Mda.start({ cgroup });
    using connection = OwnConnection.open(cgroup);
    connection.exchange();
    assert.equal((await mda.status()).connections.active, 1);
    connection.close(gone);
    await using asked = pass(mda.pinDir, "--all");
    await asked.says(new RegExp(`^on TCP: ${count} connection`, "m"));
    await mda.stop();
  });
}

Deno.test("several mda pass hold at once, each what it asked for, and one too many is refused", async () => {
  await using cgroup = createCgroup("pass-several");
  await using mda = await Mda.start({ cgroup });
  await using older = await Older.start({ cgroup });
  await older.trips(1, 100);
  await using one = pass(mda.pinDir, "--port", "1");
  await using two = pass(mda.pinDir, "--all");
  await using three = pass(mda.pinDir, "--port", "2");
  await using four = pass(mda.pinDir, "--uid-owner", "12345");
  for (const asked of [one, two, three, four]) await asked.says(/^on TCP: /m);
  assert.equal((await mda.status()).passing.length, 4);
  const { code, stderr } = await runMda(["--pin-dir", mda.pinDir, "pass", "--port", "3"]);
  assert.equal(code, 1);
  assert.match(stderr, /^mda: Cannot pass: 4 of these hold already/);
  assert.equal((await mda.during(() => older.trips(5, 100))).messages, 0);
  two.kill("SIGTERM");
  await two.says(/^taken back/m);
  await waitFor("adoption", async () => (await mda.status()).connections.active === 10);
  assert.equal((await mda.status()).passing.length, 3);
  await mda.stop();
});

Deno.test("mda pass works without a process that runs mda, and takes connections back itself", async () => {
  await using cgroup = createCgroup("pass-enable");
  const pinDir = newPinDir();
  const args = ["--pin-dir", pinDir];
  try {
    const { code, stderr } = await runMda([
      ...args,
      "enable",
      "--config",
      writeConfig(""),
      "--cgroup",
      cgroup.path,
    ]);
    assert.equal(code, 0, stderr);
    await using older = await Older.start({ cgroup });
    await older.trips(5, 100);
    await using asked = pass(pinDir, "--all", "--for", "1");
    await asked.says(/^on TCP: 10 connections/m);
    assert.equal((await statusOf(pinDir)).status.connections.active, 0);
    await asked.says(/^taken back/m);
    await waitFor("adoption", async () => (await statusOf(pinDir)).status.connections.active === 10);
    await older.trips(5, 100);
    assert.equal((await runMda([...args, "disable"])).code, 0);
  } finally {
    removePins(pinDir);
  }
});

Deno.test("mda pass wants to know what to pass, and something that is enabled", async () => {
  for (
    const [args, said] of [
      [[], /^mda: Cannot pass: no filter says which connections/],
      [["--port", "x"], /^mda: Cannot use --port x: /],
      [["--all"], /^mda: Cannot pass connections: nothing is enabled at /],
      [
        ["--all", "--for", "soon"],
        /'--for <DURATION>' argument 'soon' is invalid\. It is a number of seconds/,
      ],
    ] as [string[], RegExp][]
  ) {
    const { code, stderr } = await runMda(["--pin-dir", newPinDir(), "pass", ...args]);
    assert.notEqual(code, 0);
    assert.match(stderr, said);
  }
});
