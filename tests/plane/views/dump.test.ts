import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createCgroup } from "../../lab/cgroup.ts";
import {
  captureFile,
  endDump,
  readComplaints,
  readFields,
  readLost,
  readStreams,
  startDump,
} from "../../lab/dump.ts";
import { Mda, runMda } from "../../lab/mda.ts";
import { Mesh } from "../../lab/mesh.ts";
import { Postgres } from "../../lab/postgres.ts";
import { run, start } from "../../lab/program.ts";
import { Recorder } from "../../lab/recorder.ts";
import { freePort, startRedis } from "../../lab/servers.ts";
import { Older } from "../../lab/streams/older.ts";
import { waitFor } from "../../lab/wait.ts";

/** Every connection that was recorded is in the capture, with the same bytes in both directions. */
async function assertCaptured(
  file: string,
  { recorder, least }: { recorder: Recorder; least: number },
): Promise<void> {
  const streams = await readStreams(file);
  const recorded = recorder.connections();
  assert.ok(recorded.length >= least, `${recorded.length} connections`);
  for (const { client, server } of recorded) {
    const same = (bytes: Uint8Array, other: Uint8Array) => Buffer.compare(bytes, other) === 0;
    assert.ok(
      streams.some(([first, second]) => same(first.bytes, client) && same(second.bytes, server)),
      `${client.length} and ${server.length} bytes are not among ` +
        JSON.stringify(streams.map((ends) => ends.map(({ bytes }) => bytes.length))),
    );
  }
}

Deno.test("mda dump has redis's streams byte by byte, messages above 64 KiB too, and nothing that tshark finds fault with", async () => {
  await using cgroup = createCgroup("dump");
  await using mda = await Mda.start({ cgroup });
  const [port, recorded] = [freePort(), freePort()];
  await using _redis = await startRedis({ cgroup }, { port });
  await using recorder = await Recorder.start({ cgroup }, recorded, { host: "127.0.0.1", port });
  using file = captureFile();
  await using dump = await startDump(mda, "-w", file.path, `port ${port}`);
  const benchmark = ["redis-benchmark", "-p", String(recorded), "-c", "4"];
  await run({ cgroup }, [...benchmark, "-n", "500", "-t", "set,get", "-d", "100"]);
  const growth = await mda.during(() =>
    run({ cgroup }, [...benchmark, "-n", "4", "-t", "set,get", "-d", "100000"])
  );
  await endDump(dump);
  assert.match(dump.stderr, /\n[\d,]+ packets captured\n0 packets lost\n/);
  assert.equal(Deno.statSync(file.path).mode! & 0o777, 0o600);
  assert.deepEqual(await readComplaints(file.path), [], JSON.stringify(growth));
  await assertCaptured(file.path, { recorder, least: 8 });
});

for (const family of [4, 6] as const) {
  Deno.test(`mda dump has HTTP through the mesh's sidecars byte by byte, over IPv${family}`, async () => {
    await using cgroup = createCgroup("dump-mesh");
    await using mda = await Mda.start({ cgroup });
    await using mesh = await Mesh.create({ cgroup, family });
    await mesh.startSidecars();
    const { hostname, port } = new URL(mesh.url);
    const recorded = freePort();
    await using recorder = await Recorder.start(mesh.place(0), recorded, {
      host: hostname.replace(/[\[\]]/g, ""),
      port: Number(port),
    });
    using file = captureFile();
    await using dump = await startDump(mda, "-w", file.path, "tcp");
    const url = `http://127.0.0.1:${recorded}/`;
    await run(mesh.place(0), ["curl", "-sf", url, url, url]);
    await endDump(dump);
    assert.deepEqual(await readComplaints(file.path), []);
    await assertCaptured(file.path, { recorder, least: 1 });
    const bodies = await readFields(file.path, "http.response", [
      "http.file_data",
      "frame.interface_name",
      "frame.comment",
    ]);
    assert.ok(bodies.length >= 9, `${bodies.length} answers`);
    // Each has passed both pods, in whose namespaces the senders are.
    assert.equal(new Set(bodies.map(([, name]) => name)).size, 2);
    assert.deepEqual(
      new Set(bodies.map(([, , comment]) => /^(nginx|haproxy|python3) \d+, /.exec(comment)?.[1])),
      new Set(["nginx", "haproxy", "python3"]),
    );
  });
}

Deno.test("mda dump has PostgreSQL's streams byte by byte", async () => {
  await using cgroup = createCgroup("dump-postgres");
  await using mda = await Mda.start({ cgroup });
  const [port, recorded] = [freePort(), freePort()];
  await using postgres = await Postgres.start({ cgroup }, port);
  await using recorder = await Recorder.start({ cgroup }, recorded, { host: "127.0.0.1", port });
  using file = captureFile();
  await using dump = await startDump(mda, "-w", file.path, "port", String(port), "or", "port", "1");
  const psql = ["psql", "-h", "127.0.0.1", "-p", String(recorded), "-U", "postgres", "-XAtq", "postgres"];
  await using session = start({ cgroup }, psql, { listens: true });
  // It listens in blocking mode up to version 15: its connections are adopted.
  await waitFor("the session to be accelerated", async () => {
    await session.tell("SELECT;");
    const accelerated = ["conns", "--port", String(port), "--state", "redirected", "-o", "json"];
    const { stdout } = await runMda(["--pin-dir", mda.pinDir, ...accelerated]);
    return JSON.parse(stdout).length > 0;
  }, { everyMs: 100 });
  await session.tell("SELECT n, repeat('x', n) FROM generate_series(1, 300) n;");
  await session.tell("SELECT 'all ' || 'said';");
  await session.says(/^all said$/m);
  await endDump(dump);
  assert.ok(postgres);
  assert.deepEqual(await readComplaints(file.path), []);
  const [ends] = await readStreams(file.path);
  const [all] = recorder.connections();
  // From when it has entered, with a question or an answer.
  for (const end of ends) {
    const part = end.bytes, whole = end.port === port ? all.server : all.client;
    assert.ok(part.length > (end.port === port ? 45_000 : 80));
    const last = whole.subarray(-part.length);
    const wrong = part.findIndex((byte, at) => byte !== last[at]);
    assert.equal(wrong, -1, `${part.length} of ${whole.length} bytes differ from the ${wrong}th on`);
  }
});

Deno.test("mda dump filters by what connections and processes are, prints lines as tcpdump does, and ends after as many", async () => {
  await using cgroup = createCgroup("dump-filter");
  await using mda = await Mda.start({ cgroup });
  await using four = await Older.start({ cgroup });
  await using six = await Older.start({ cgroup }, { family: 6 });
  await using lines = await startDump(mda, "-c", "6", "ip6 and not port 1");
  const second = await runMda(["--pin-dir", mda.pinDir, "dump"]);
  assert.equal(second.code, 1);
  assert.match(second.stderr, /^mda: Cannot dump: process \d+ \(mda\) does already/);
  await four.trips(5, 100);
  await six.trips(5, 100);
  assert.equal((await lines.ended()).code, 0);
  const text = lines.stdout.trimEnd().split("\n");
  assert.equal(text.length, 6);
  for (const line of text) {
    assert.match(
      line,
      /^\d\d:\d\d:\d\d\.\d{6} IP6 ::1\.\d+ > ::1\.\d+: Flags \[P\.\], seq \d+:\d+, ack \d+, length \d+$/,
    );
  }
  await using nobody = await startDump(mda, "-q", "--program", "no-such-program");
  await four.trips(5, 100);
  await endDump(nobody);
  assert.equal(nobody.stdout, "");
  assert.match(nobody.stderr, /\n0 packets captured\n/);
});

Deno.test("mda dump points at what is wrong with a filter", async () => {
  const { code, stderr } = await runMda(["dump", "port 80 and hots 10.0.0.1"]);
  assert.equal(code, 2);
  assert.match(stderr, /^filter:1:13: not a word of filters; did you mean host\?\n.*hots.*\n +\^~~~\n$/);
});

Deno.test("mda dump counts what it has no room for, in the file too; after one that was killed another can begin", async () => {
  await using cgroup = createCgroup("dump-lost");
  await using mda = await Mda.start({ cgroup });
  await using older = await Older.start({ cgroup });
  using file = captureFile();
  await using dump = await startDump(mda, "-w", file.path);
  await older.trips(1, 100);
  // It does not read, as if others had the CPU, and nobody waits for it.
  dump.kill("SIGSTOP");
  await older.trips(1000, 1500);
  dump.kill("SIGCONT");
  await dump.says(/packets? lost: more was sent/);
  await older.trips(1, 100);
  await endDump(dump);
  const [, lost] = /\n([\d,]+) packets lost\n/.exec(dump.stderr)!;
  assert.equal(readLost(file.path), Number(lost.replaceAll(",", "")));
  const gaps = await readFields(file.path, "tcp.analysis.lost_segment", ["frame.number"]);
  assert.ok(gaps.length > 0);
  await using killed = await startDump(mda, "-w", file.path);
  await killed.stop("SIGKILL");
  await using next = await startDump(mda, "-c", "1", "-X");
  await older.trips(1, 100);
  assert.equal((await next.ended()).code, 0);
  assert.match(next.stdout, /^\t0x0000: {2}4500 [0-9a-f]{4} 0000 4000 4006 ([0-9a-f]{4} ?){3} {2}E/m);
});
