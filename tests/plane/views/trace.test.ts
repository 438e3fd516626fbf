import assert from "node:assert/strict";
import { layouts } from "../../../src/generated/layouts.ts";
import { monotonicUs } from "../../../src/host/libc/mod.ts";
import { readStruct, u32 } from "../../../src/libbpf/struct.ts";
import { openPinnedMap } from "../../../src/state/pins.ts";
import type { Trace } from "../../../src/views/traces.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { binary, Mda, runMda } from "../../lab/mda.ts";
import { type Program, start } from "../../lab/program.ts";
import { Older } from "../../lab/streams/older.ts";
import { sleep, waitFor } from "../../lab/wait.ts";

async function startTrace(mda: Mda, ...args: string[]): Promise<Program> {
  const program = start({}, [binary, "--pin-dir", mda.pinDir, "trace", "-o", "json", ...args]);
  await program.says(/tracing/);
  return program;
}

/** The whole lines so far. */
function tracesOf({ stdout }: Program): Trace[] {
  return stdout.slice(0, stdout.lastIndexOf("\n") + 1).split("\n").filter(Boolean).map((line) =>
    JSON.parse(line)
  );
}

Deno.test("mda trace tells of each connection when it is paired, and with what it has sent when it ends", async () => {
  await using cgroup = createCgroup("trace");
  await using mda = await Mda.start({ cgroup });
  await using program = await startTrace(mda);
  {
    await using older = await Older.start({ cgroup });
    await older.trips(20, 100);
  }
  const having = (event: Trace["event"]) => tracesOf(program).filter((trace) => trace.event === event);
  await waitFor("all events", () => having("paired").length === 10 && having("ended").length === 10);
  const ended = having("ended");
  assert.deepEqual(
    new Set(ended.map(({ id }) => id)),
    new Set(having("paired").map(({ id }) => id)),
  );
  for (const { end, own, age, time, local, remote } of ended) {
    assert.equal(end, "client");
    // Each has said a word to begin with.
    assert.equal(own.redirected.messages + own.tcp.messages, 21);
    assert.ok(own.redirected.bytes + own.tcp.bytes > 2000);
    assert.ok(age! > 0 && Math.abs(Date.parse(time) - Date.now()) < 60_000);
    assert.deepEqual([local.address, remote.address], ["127.0.0.1", "127.0.0.1"]);
  }
  program.kill("SIGINT");
  assert.equal((await program.ended()).code, 0);
  await mda.stop();
});

Deno.test("mda trace in a time namespace of its own tells the same, and its lease ends as elsewhere", async () => {
  await using cgroup = createCgroup("trace-time");
  await using mda = await Mda.start({ cgroup });
  const inNamespace = ["unshare", "--fork", "--kill-child", "--time", "--monotonic"];
  for (const offset of ["100000", "-1000"]) {
    const command = [binary, "--pin-dir", mda.pinDir, "trace", "-o", "json"];
    await using program = start({}, [...inNamespace, offset, ...command]);
    await program.says(/tracing/);
    await using older = await Older.start({ cgroup });
    await waitFor("what was paired", () => tracesOf(program).length >= 10);
    for (const { time } of tracesOf(program)) {
      assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000, time);
    }
    await older.trips(1, 100);
    await program.stop("SIGKILL");
    using leases = openPinnedMap(mda.pinDir, "tracing")!;
    const untilNs = () => readStruct(layouts, "lease", leases.lookup(u32(0))!).until_ns;
    await waitFor("the end of its lease", () => untilNs() < monotonicUs() * 1000n);
  }
  await mda.stop();
});

Deno.test("mda trace tells who was refused, adopted and has left, and why", async () => {
  await using cgroup = createCgroup("trace-why");
  await using older = await Older.start({ cgroup });
  await using mda = await Mda.start({ cgroup });
  await using program = await startTrace(mda);
  const having = (event: Trace["event"]) => tracesOf(program).filter((trace) => trace.event === event);
  await using _blocking = await Older.start({ cgroup }, { mode: "blocking", connections: 4 });
  await waitFor("refusals", () => having("refused").length === 4);
  for (const { reason, why } of having("refused")) {
    assert.equal(reason, "refused blocking_client");
    assert.match(why!, /blocking mode/);
  }
  await older.trips(1, 100);
  const { code } = await runMda(["--pin-dir", mda.pinDir, "pass", "--all", "--for", "2"]);
  assert.equal(code, 0);
  await waitFor("departures", () => having("left").length === 20);
  // The first end of each, and its peer with it, where that was not asked as well.
  for (const { reason } of having("left")) assert.match(reason!, /^left (on_request|with_peer)$/);
  await waitFor("adoptions", () => having("adopted").length >= 10);
  await mda.stop();
});

Deno.test("mda trace filters, ends after as many events as were asked for, and has one listener", async () => {
  await using cgroup = createCgroup("trace-filter");
  await using mda = await Mda.start({ cgroup });
  await using six = await startTrace(mda, "--ip", "::1", "-n", "3");
  const second = await runMda(["--pin-dir", mda.pinDir, "trace"]);
  assert.equal(second.code, 1);
  assert.match(second.stderr, /^mda: Cannot trace: process \d+ \(mda\) does already/);
  await using _four = await Older.start({ cgroup });
  await using _six = await Older.start({ cgroup }, { family: 6 });
  assert.equal((await six.ended()).code, 0);
  assert.deepEqual(tracesOf(six).map(({ local }) => local.address), ["::1", "::1", "::1"]);
  await six.stop("SIGKILL");
  await using next = await startTrace(mda, "-n", "1");
  await using _more = await Older.start({ cgroup });
  assert.equal((await next.ended()).code, 0);
  await mda.stop();
});

Deno.test("ring buffers are there while somebody listens, and no longer when it was killed", async () => {
  await using cgroup = createCgroup("trace-ring");
  await using mda = await Mda.start({ cgroup });
  const hasRing = (name: "traces" | "dumps") => {
    using rings = openPinnedMap(mda.pinDir, name)!;
    return rings.lookup(u32(0)) !== undefined;
  };
  assert.deepEqual([hasRing("traces"), hasRing("dumps")], [false, false]);
  {
    await using program = await startTrace(mda);
    assert.ok(hasRing("traces"));
    program.kill("SIGINT");
    await program.ended();
    assert.ok(!hasRing("traces"));
  }
  await using killed = await startTrace(mda);
  await killed.stop("SIGKILL");
  await waitFor("what was left to be freed", () => !hasRing("traces"));
  await mda.stop();
});

Deno.test("mda trace says when it was too late to say that it is there, and goes on", async () => {
  await using cgroup = createCgroup("trace-late");
  await using mda = await Mda.start({ cgroup });
  await using program = await startTrace(mda);
  program.kill("SIGSTOP");
  await sleep(3500);
  program.kill("SIGCONT");
  await waitFor("that it says so", () => /no CPU for seconds/.test(program.stderr));
  await using _older = await Older.start({ cgroup });
  await waitFor("events", () => tracesOf(program).some(({ event }) => event === "paired"));
  program.kill("SIGINT");
  assert.equal((await program.ended()).code, 0);
  await mda.stop();
});
