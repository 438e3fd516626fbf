import assert from "node:assert/strict";
import type { Connection } from "../../../src/views/connections.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { Mda, newPinDir, runMda } from "../../lab/mda.ts";
import { tryRun } from "../../lab/program.ts";
import { Older } from "../../lab/streams/older.ts";
import { waitFor } from "../../lab/wait.ts";

async function conns(mda: Mda, ...args: string[]): Promise<Connection[]> {
  const { code, stdout, stderr } = await runMda(["--pin-dir", mda.pinDir, "conns", "-o", "json", ...args]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

Deno.test("mda conns has each connection with both ends, their processes, and what each has sent", async () => {
  await using cgroup = createCgroup("conns");
  await using mda = await Mda.start({ cgroup });
  await using older = await Older.start({ cgroup }, { connections: 7 });
  const fresh = await conns(mda);
  assert.equal(fresh.length, 7);
  await older.trips(20, 100);
  const seen = await conns(mda);
  assert.equal(seen.length, 7);
  assert.equal(new Set(seen.map(({ id }) => id)).size, 7);
  for (const { id, state, reason, client, server, age, idle } of seen) {
    assert.deepEqual([state, reason], ["redirected", null]);
    assert.deepEqual([client.local, client.remote], [server.remote, server.local]);
    assert.deepEqual([client.program, server.program], ["older", "older"]);
    assert.deepEqual([client.pid !== null, client.uid, client.netns], [true, 0, server.netns]);
    const before = fresh.find(({ id: its }) => its === id)!;
    for (const end of ["client", "server"] as const) {
      const sent = ({ redirected, tcp }: Connection["client"], what: "messages" | "bytes") =>
        redirected![what] + tcp![what];
      const now = { client, server }[end];
      assert.equal(sent(now, "messages") - sent(before[end], "messages"), 20);
      assert.equal(sent(now, "bytes") - sent(before[end], "bytes"), 2000);
      assert.deepEqual(now.unread, { redirected: 0, tcp: 0 });
    }
    assert.ok(age! > 0 && idle! < age!, `${age} ${idle}`);
  }
  const { redirected, passed } = await mda.status();
  const sum = (count: (connection: Connection) => number) => seen.reduce((all, one) => all + count(one), 0);
  assert.equal(
    sum(({ client, server }) => client.redirected!.bytes + server.redirected!.bytes),
    redirected.bytes,
  );
  assert.equal(
    sum(({ client, server }) => client.tcp!.messages + server.tcp!.messages),
    Object.values(passed).reduce((all, one) => all + one),
  );
  await mda.stop();
});

Deno.test("mda conns says which connections were paired at their handshake, and which adopted later", async () => {
  await using cgroup = createCgroup("conns-joined");
  await using before = await Older.start({ cgroup }, { connections: 3 });
  await using mda = await Mda.start({ cgroup });
  await using after = await Older.start({ cgroup }, { connections: 4 });
  const { stdout } = await waitFor("all connections", async () => {
    const seen = await runMda(["--pin-dir", mda.pinDir, "conns", "-o", "wide"]);
    return seen.stdout.split("\n").length === 9 && seen;
  });
  const joined = (program: Older) =>
    conns(mda, "--pid", String(program.program.pid)).then((all) => all.map(({ joined }) => joined));
  assert.deepEqual(await joined(before), ["adopted", "adopted", "adopted"]);
  assert.deepEqual(await joined(after), ["paired", "paired", "paired", "paired"]);
  assert.match(stdout, /^STATE .* JOINED /);
  assert.deepEqual([...stdout.matchAll(/ (adopted|paired) /g)].map(([, word]) => word).sort(), [
    ...Array(3).fill("adopted"),
    ...Array(4).fill("paired"),
  ]);
  await mda.stop();
});

Deno.test("mda conns takes the filters of chain lines, and those of processes", async () => {
  await using cgroup = createCgroup("conns-filter");
  await using mda = await Mda.start({ cgroup });
  await using older = await Older.start({ cgroup });
  await using six = await Older.start({ cgroup }, { family: 6, connections: 3 });
  await older.trips(1, 100);
  await six.trips(1, 100);
  const [one] = await conns(mda, "--ip", "127.0.0.0/8");
  const counts: [string[], number][] = [
    [[], 13],
    [["--ip", "127.0.0.0/8"], 10],
    [["-i", "::1"], 3],
    [["--ip", "127.0.0.1,::1"], 13],
    [["--port", String(one.client.local.port)], 1],
    [["--port", `${one.server.local.port}`, "--port", "1"], 10],
    [["--uid-owner", "0"], 13],
    [["--uid-owner", "12345"], 0],
    [["--pid", String(six.program.pid)], 3],
    [["--program", "old"], 13],
    [["--program", "nginx"], 0],
    [["--state", "leaving,left"], 0],
  ];
  for (const [args, count] of counts) assert.equal((await conns(mda, ...args)).length, count, args.join(" "));
  const sorted = (await conns(mda, "--sort", "port")).map(({ server }) => server.local.port);
  assert.deepEqual(sorted, sorted.toSorted((a, b) => a - b));
  await mda.stop();
});

Deno.test("mda conns fits 80 columns and says the essential there, and has more where there is room", async () => {
  await using cgroup = createCgroup("conns-table");
  await using mda = await Mda.start({ cgroup });
  await using older = await Older.start({ cgroup });
  await older.trips(5, 100);
  const onTerminal = (columns: number) => {
    const command = `stty cols ${columns} rows 24; exec ${mda.version} --pin-dir ${mda.pinDir} conns`;
    return tryRun({}, ["script", "-qec", command, "/dev/null"]);
  };
  // Deno clears the line that it stands on where its input is no terminal.
  const linesOf = (text: string) =>
    text.slice(text.indexOf("STATE")).replaceAll("\r", "").trimEnd().split("\n");
  const narrow = linesOf((await onTerminal(80)).stdout);
  assert.equal(narrow.length, 11);
  for (const line of narrow) assert.ok(line.length <= 80, line);
  assert.match(narrow[0], /^STATE +CLIENT +SERVER +PORT +MSGS/);
  assert.match(narrow[1], /^redirected +older\[\d+\] +older\[\d+\] +\d+ +\d+/);
  const wide = (await onTerminal(250)).stdout;
  assert.match(wide, /CLIENT ADDRESS +SERVER ADDRESS/);
  assert.match(wide, /127\.0\.0\.1:\d+ +127\.0\.0\.1:\d+/);
  await mda.stop();
});

Deno.test("mda conns, trace, dump and pass say in a line that nothing is enabled, or that they need root", async () => {
  for (
    const command of [["conns"], ["trace"], ["dump"], ["pass", "--all"], ["explain"], ["top", "-n", "1"]]
  ) {
    const { code, stderr } = await runMda(["--pin-dir", newPinDir(), ...command]);
    assert.equal(code, 1, command[0]);
    assert.match(stderr, /^mda: Cannot .*: nothing is enabled at \S+; mda run or mda enable starts it\n$/);
  }
});
