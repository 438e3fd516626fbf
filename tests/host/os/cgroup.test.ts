import assert from "node:assert/strict";
import { findCgroup, findCgroup2, openCgroup } from "../../../src/host/cgroup.ts";
import { ownCgroup } from "./directories.ts";
import { assertClosesDescriptors } from "./descriptors.ts";
import { callElsewhere } from "./elsewhere.ts";

const umountCgroup2 = "for at in $(awk '$3 == \"cgroup2\" { print $2 }' /proc/mounts); do umount $at; done";

Deno.test("the first cgroup2 mount is found, also one with blanks in its name", async () => {
  const home = await Deno.makeTempDir();
  const target = `${home}/a b\\c\t`;
  try {
    const setup =
      `${umountCgroup2}; mkdir '${target}'; mount -t cgroup2 none '${target}'; mount -t cgroup2 none /mnt`;
    const { value } = await callElsewhere("src/host/cgroup.ts", "findCgroup2", [], { setup });
    assert.equal(value, target);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("a mount that is hidden by another is passed over", async () => {
  const found = findCgroup2();
  const { error } = await callElsewhere("src/host/cgroup.ts", "findCgroup2", [], {
    setup: `mount -t tmpfs tmpfs ${found}`,
  });
  assert.match(error!, /^Cannot find a cgroup2 mount: /);
});

Deno.test("a container's own cgroup is passed over for the host's that is mounted beside it", async () => {
  using cgroup = ownCgroup("own");
  const find = (setup: string) =>
    callElsewhere("src/host/cgroup.ts", "findCgroup2", [], { setup, ownCgroup: cgroup.path });
  const own = "mount -t cgroup2 none /mnt";
  const hosts = findCgroup2();
  assert.match(
    (await find(`${umountCgroup2}; ${own}`)).error!,
    /^Cannot find the host's cgroup: \/mnt is a container's own/,
  );
  assert.equal((await find(`${own}; mount --bind ${hosts} /media; umount ${hosts}`)).value, "/media");
});

Deno.test("names that are not ASCII survive /proc/mounts", async () => {
  const target = await Deno.makeTempDir({ suffix: "-größe" });
  try {
    const { value } = await callElsewhere("src/host/mounts.ts", "readMounts", [], {
      setup: `mount -t tmpfs tmpfs ${target}`,
    });
    assert.ok((value as { target: string }[]).some((mount) => mount.target === target));
  } finally {
    await Deno.remove(target);
  }
});

Deno.test("a cgroup is found by its number while it is there", () => {
  let id: bigint;
  {
    using cgroup = ownCgroup("number");
    using open = openCgroup(cgroup.path);
    id = open.id;
    assert.equal(findCgroup(id), cgroup.path);
  }
  assert.equal(findCgroup(id), undefined);
});

Deno.test("a host without cgroup2 is told how to mount one", async () => {
  const find = (setup: string) => callElsewhere("src/host/cgroup.ts", "findCgroup2", [], { setup });
  assert.match(
    (await find(umountCgroup2)).error!,
    /^Cannot find a cgroup2 mount: .*`mkdir -p \/run\/cgroup2 && mount -t cgroup2 none/,
  );
  const onlyV1 = `${umountCgroup2}; mount -t cgroup -o none,name=mda-test cgroup /mnt`;
  assert.match((await find(onlyV1)).error!, /this host mounts cgroup v1 only; mount one beside it/);
});

Deno.test("a cgroup is opened, and what is none is refused", () => {
  using cgroup = ownCgroup("open");
  assertClosesDescriptors(() => {
    using opened = openCgroup(cgroup.path);
    assert.equal(opened.id, BigInt(Deno.statSync(cgroup.path).ino!));
    assert.throws(
      () => openCgroup("/nowhere"),
      /Cannot use \/nowhere as the cgroup: there is no such directory/,
    );
    assert.throws(
      () => openCgroup("/etc/passwd"),
      /Cannot use \/etc\/passwd as the cgroup: it is not a directory/,
    );
    assert.throws(
      () => openCgroup("/tmp"),
      /Cannot use \/tmp as the cgroup: it is not on a cgroup2 filesystem; `grep/,
    );
    assert.throws(
      () => openCgroup(`${cgroup.path}/cgroup.procs`),
      /Cannot use \S+\/cgroup\.procs as the cgroup: it is not a directory/,
    );
  });
});
