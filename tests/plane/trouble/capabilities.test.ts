import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { statusOf } from "../../lab/mda.ts";
import { Older } from "../../lab/streams/older.ts";
import { startProgram } from "../../lab/streams/programs.ts";
import { Commands } from "./commands.ts";

/** With CAP_SYS_ADMIN root has the first two as well. */
const needed = {
  CAP_BPF: ["bpf", "sys_admin"],
  CAP_PERFMON: ["perfmon", "sys_admin"],
  CAP_NET_ADMIN: ["net_admin"],
};

for (const [name, without] of Object.entries(needed)) {
  const lacks = new RegExp(
    `^mda: Cannot load BPF programs: root has no ${name} here; give the container or service these capabilities ` +
      "\\(docker run --cap-add, securityContext\\.capabilities, CapabilityBoundingSet=\\)\n$",
  );

  Deno.test(`without ${name} nothing is started or changed, but looked at and stopped`, async () => {
    await using cgroup = createCgroup("capability");
    await using mda = new Commands(cgroup);
    for (const command of ["run", "enable"] as const) {
      assert.match(await mda.refused(command, { without }), lacks);
    }
    await mda.succeed("enable");
    await using older = await Older.start({ cgroup });
    for (const command of ["run", "enable", "reload"] as const) {
      assert.match(await mda.refused(command, { without }), lacks);
    }
    await older.trips(10, 100);
    assert.equal(await mda.succeed("query", { without }), "enabled\n");
    assert.match(await mda.succeed("status", { without }), /^connections: active +10$/m);
    assert.equal(await mda.succeed("disable", { without }), "disabled; every connection is on TCP\n");
    await older.trips(10, 100);
  });
}

Deno.test("without CAP_BPF mda disable --force stops all but what it cannot reset, and says why", async () => {
  await using cgroup = createCgroup("force");
  await using mda = new Commands(cgroup);
  await using running = await mda.run();
  await using holder = startProgram({ cgroup }, "held_back", 4);
  await holder.says(/sent \d+ bytes/);
  await running.stop("SIGKILL");
  const where = { without: needed.CAP_BPF, args: ["--drain-timeout", "0.1", "--force"] };
  assert.match(await mda.refused("disable", where), /root has no CAP_BPF here/);
  assert.equal((await statusOf(mda.pinDir)).code, 1);
  await holder.tell("");
  await holder.says(/reader: \d+, sender: 100/);
  assert.equal(await mda.succeed("disable"), "disabled; every connection is on TCP\n");
});
