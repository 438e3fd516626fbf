/** mda where it has less of the host than a container for it should have. */
import assert from "node:assert/strict";
import { Cgroup, createCgroup } from "../../lab/cgroup.ts";
import { assertRedirected, difference, statusOf } from "../../lab/mda.ts";
import { Older } from "../../lab/streams/older.ts";
import { runProgram } from "../../lab/streams/programs.ts";
import { sleep, waitFor } from "../../lab/wait.ts";
import { Commands, type Where } from "./commands.ts";

/** A container's view: a cgroup namespace, and its own cgroup where the host's are. */
const containerCgroup =
  "for at in $(awk '$3 == \"cgroup2\" { print $2 }' /proc/mounts); do umount $at; done; " +
  "mount -t cgroup2 none /mnt";

Deno.test("a container's own cgroup is not taken for the host's, and accelerated when it is named", async () => {
  await using cgroup = createCgroup("container");
  await using inner = new Cgroup(`${cgroup.path}/inner`);
  await using mda = new Commands(cgroup);
  const where: Where = {
    place: { cgroup: inner },
    setup: containerCgroup,
    ownCgroups: true,
    args: ["--no-cgroup"],
  };
  for (const command of ["run", "enable"] as const) {
    assert.match(
      await mda.refused(command, where),
      /Cannot find the host's cgroup: \/mnt is a container's own, .*; mount the host's \/sys\/fs\/cgroup into the container \(Kubernetes: hostPath\) and name it with --cgroup, or share the host's cgroup namespace \(docker run --cgroupns=host\)$/m,
    );
  }
  await using running = await mda.run({ ...where, args: ["--no-cgroup", "--cgroup", "/mnt"] });
  const before = (await statusOf(mda.pinDir)).status;
  await using inside = await Older.start({ cgroup: inner });
  await using _beside = await Older.start({ cgroup });
  await inside.trips(10, 100);
  const growth = difference(before, (await statusOf(mda.pinDir)).status);
  assert.equal(growth.paired, 10);
  assertRedirected(growth, 190);
  assert.equal((await running.stop()).code, 0);
});

const outOfReach: { name: string; where: Where; why: RegExp }[] = [
  {
    name: "in a PID namespace of its own",
    where: { ownPids: true },
    why:
      /mda is in a PID namespace of its own .*; share the host's \(Kubernetes: hostPID: true, docker run --pid=host\)/,
  },
  {
    name: "without CAP_SYS_PTRACE",
    where: { without: ["sys_ptrace"] },
    why: /mda has no CAP_SYS_PTRACE, .*; give the container or service this capability/,
  },
];

for (const { name, where, why } of outOfReach) {
  Deno.test(`${name}, mda warns once, and leaves open connections and readers on edges to TCP`, async () => {
    await using cgroup = createCgroup("reach");
    await using mda = new Commands(cgroup);
    await using older = await Older.start({ cgroup });
    await using running = await mda.run(where);
    await running.says(why);
    const { status: before } = await statusOf(mda.pinDir);
    await older.trips(10, 100);
    // Every scan for connections would say it again.
    await sleep(4500);
    assert.equal(running.stderr.split(why).length - 1, 1, running.stderr);
    assert.equal(running.stderr.split("warning").length - 1, 1, running.stderr);
    assert.match(
      running.stderr,
      /; connections that are already open, and those whose readers wait for edges \(EPOLLET\), stay on TCP$/m,
    );
    const seed = 1 + Math.floor(Math.random() * 1e6);
    await runProgram({ cgroup }, "stutter", 4, 4, 1000, seed, 4096, "edges");
    const edges = difference(before, (await statusOf(mda.pinDir)).status);
    assert.ok(edges.passed.untended > 100 && edges.messages === 0, JSON.stringify(edges));

    // Who does not wait for edges gains as ever.
    await using later = await Older.start({ cgroup });
    await later.trips(10, 100);
    const growth = difference(before, (await statusOf(mda.pinDir)).status);
    assert.deepEqual([growth.adopted, growth.paired >= 10], [0, true]);
    assert.ok(growth.messages > 50, JSON.stringify(growth));

    await mda.succeed("disable");
    await waitFor("its end", () => !running.running);
    await older.trips(10, 100);
  });

  Deno.test(`${name}, mda enable says what it could not adopt`, async () => {
    await using cgroup = createCgroup("reach");
    await using mda = new Commands(cgroup);
    await using _older = await Older.start({ cgroup });
    const { code, stdout, stderr } = await mda.try("enable", where);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /; 0 open connections adopted$/m);
    assert.match(
      stderr,
      new RegExp(`^mda: ${why.source}.*; connections that are already open stay on TCP\n$`),
    );
    assert.equal((await mda.try("enable", { ...where, args: ["--no-adopt"] })).stderr, "");
  });
}
