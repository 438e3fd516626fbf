import assert from "node:assert/strict";
import { createCgroup, createMemoryCgroup } from "../../lab/cgroup.ts";
import { difference, Mda, pinsOf, statusOf } from "../../lab/mda.ts";
import { createNetns } from "../../lab/netns.ts";
import { run } from "../../lab/program.ts";
import { Older } from "../../lab/streams/older.ts";
import { Commands } from "./commands.ts";

/** Enough for mda, and not for the table of ten million connections. */
const limitBytes = 200e6;
const large = ["--max-connections", "10000000"];

Deno.test("without memory for its maps mda says what to do, and leaves nothing", async () => {
  await using cgroup = createCgroup("memory");
  await using place = createMemoryCgroup("memory", limitBytes);
  await using mda = new Commands(cgroup);
  for (const command of ["run", "enable"] as const) {
    const { code, stdout, stderr } = await mda.try(command, { place: { cgroup: place }, args: large });
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(
      stderr,
      /^mda: Cannot load BPF object mda: ENOMEM \(Cannot allocate memory\); lower --max-connections, or raise the memory limit of the container or service\n {2}libbpf: .*\bsockets\b/,
    );
    assert.equal(pinsOf(mda.pinDir), undefined);
    assert.equal(await run({}, ["bpftool", "cgroup", "show", cgroup.path]), "");
  }
});

Deno.test("a take-over that memory does not suffice for leaves what is enabled at work", async () => {
  await using cgroup = createCgroup("memory");
  await using place = createMemoryCgroup("memory", limitBytes);
  await using mda = new Commands(cgroup);
  await mda.succeed("enable");
  await using older = await Older.start({ cgroup });
  // So that its maps are of another version, and others are to be made.
  Deno.removeSync(`${mda.pinDir}/readers`);
  const { code, stderr } = await mda.try("enable", { place: { cgroup: place }, args: large });
  assert.equal(code, 1);
  assert.match(stderr, /^mda: Cannot load BPF object mda: ENOMEM /);
  const before = await statusOf(mda.pinDir);
  assert.deepEqual([before.code, before.status.connections.active], [0, 10]);
  await older.trips(10, 100);
  const growth = difference(before.status, (await statusOf(mda.pinDir)).status);
  // After a time of silence messages of both directions go through TCP first: bpf/refresh.h.
  assert.ok(growth.messages + (growth.passed.refresh ?? 0) > 50, JSON.stringify(growth));
});

Deno.test("a socket that there is no memory for stays on TCP, and is counted as that", async () => {
  await using cgroup = createCgroup("memory");
  await using netns = await createNetns("memory");
  await using mda = await Mda.start({ cgroup, args: ["--no-adopt"] });
  // What a socket may have for its storages: sk_storage_charge().
  await netns.sysctl("net.core.optmem_max", 200);
  const growth = await mda.during(async () => {
    await using older = await Older.start({ cgroup, netns });
    await older.trips(10, 100);
  });
  assert.deepEqual([growth.paired, growth.messages, growth.refused], [0, 0, { no_storage: 10 }]);
  assert.doesNotMatch(await mda.stop(), /full/);
});
