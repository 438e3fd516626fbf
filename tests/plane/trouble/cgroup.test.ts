import assert from "node:assert/strict";
import { Cgroup, createCgroup } from "../../lab/cgroup.ts";
import { assertRedirected, Mda, statusOf } from "../../lab/mda.ts";
import { Older } from "../../lab/streams/older.ts";
import { waitFor } from "../../lab/wait.ts";
import { Commands } from "./commands.ts";

/** By another name each time: the last one's hierarchy may not be gone, and mount(8) is then refused. */
const mountV1 = "mount -t cgroup -o none,name=mda-test-$$ cgroup /mnt";
const noCgroup2 = "for at in $(awk '$3 == \"cgroup2\" { print $2 }' /proc/mounts); do umount $at; done";

/** Removes a cgroup and makes it again, as a service that is started anew does. */
async function removeFor(cgroup: Cgroup, body: () => Promise<void>): Promise<void> {
  Deno.removeSync(cgroup.path);
  try {
    await body();
  } finally {
    Deno.mkdirSync(cgroup.path);
  }
}

Deno.test("an mda whose cgroup is removed says so, goes on, and accelerates again when it is back", async () => {
  await using cgroup = createCgroup("removed");
  await using mda = await Mda.start({ cgroup });
  await removeFor(cgroup, async () => {
    await mda.program.says(/warning \S+ was removed: nothing is accelerated until it is there again$/m);
    const { code, status } = await statusOf(mda.pinDir);
    assert.deepEqual([code, status.enabled, status.process], [1, false, mda.pid]);
    assert.ok(mda.program.running);
  });
  await mda.program.says(/info \S+ is there again: attached$/m);
  await using older = await Older.start({ cgroup });
  assertRedirected(await mda.during(() => older.trips(10, 100)), 190);
  assert.equal((await mda.status()).connections.paired, 10);
  assert.match(await mda.stop(), /stopped: every connection is on TCP$/m);
  await older.trips(10, 100);
});

Deno.test("what is enabled for a cgroup that is removed is disabled, and enabled again by mda enable", async () => {
  await using cgroup = createCgroup("removed");
  await using mda = new Commands(cgroup);
  await mda.succeed("enable");
  await removeFor(cgroup, async () => {
    await waitFor("the kernel to detach", async () => (await mda.try("query")).stdout === "disabled\n");
    assert.equal((await statusOf(mda.pinDir)).code, 1);
    assert.match(await mda.refused("enable"), /Cannot use \S+ as the cgroup: there is no such directory$/m);
    assert.match(await mda.refused("run"), /Cannot use \S+ as the cgroup: there is no such directory$/m);
  });
  assert.equal((await mda.try("query")).stdout, "disabled\n");
  assert.match(await mda.succeed("enable"), /^enabled anew for /);
  assert.equal(await mda.succeed("query"), "enabled\n");
  await using older = await Older.start({ cgroup });
  await older.trips(10, 100);
  const { connections, redirected } = (await statusOf(mda.pinDir)).status;
  assert.ok(
    connections.paired === 10 && redirected.messages > 0,
    JSON.stringify({ connections, redirected }),
  );
});

Deno.test("a host that mounts cgroup v1 only is told how to mount cgroup2, and that works", async () => {
  await using cgroup = createCgroup("v1");
  await using mda = new Commands(cgroup);
  const args = ["--no-cgroup"];
  const setup = `${noCgroup2}; ${mountV1}`;
  for (const command of ["run", "enable"] as const) {
    const said = await mda.refused(command, { setup, args });
    assert.match(said, /Cannot find a cgroup2 mount: this host mounts cgroup v1 only; /);
    const [, remedy] = /mount one beside it with `(.*)`/.exec(said)!;
    // Of it, one cgroup: the test must not attach to all of the machine.
    const inside = `/run/cgroup2/${cgroup.path.split("/").at(-1)}`;
    const mended = {
      setup: `${setup}; mount -t tmpfs tmpfs /run; ${remedy}`,
      args: [...args, "--cgroup", inside],
    };
    if (command === "enable") {
      assert.match(await mda.succeed("enable", mended), new RegExp(`^enabled for ${inside};`));
    }
  }
});

Deno.test("a cgroup of v1 is refused by name", async () => {
  await using cgroup = createCgroup("v1");
  await using mda = new Commands(cgroup);
  const where = { setup: mountV1, args: ["--no-cgroup", "--cgroup", "/mnt"] };
  for (const command of ["run", "enable"] as const) {
    assert.match(
      await mda.refused(command, where),
      /Cannot use \/mnt as the cgroup: it is not on a cgroup2 filesystem; `grep cgroup2 \/proc\/mounts` shows where one is mounted$/m,
    );
  }
});
