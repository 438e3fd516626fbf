import assert from "node:assert/strict";
import { findCgroup, findCgroup2, openCgroup } from "../../src/host/cgroup.ts";
import * as libc from "../../src/host/libc.ts";
import { parseMounts } from "../../src/host/mounts.ts";
import { ownCgroup } from "./directories.ts";
import { assertClosesDescriptors } from "./descriptors.ts";
import { callElsewhere } from "./elsewhere.ts";

Deno.test("the first cgroup2 mount is found, also one with blanks in its name", () => {
  const mounts = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n" +
    "cgroup2 /mnt/a\\040b\\134c\\011 cgroup2 rw,nsdelegate 0 0\n" +
    "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
  assert.equal(findCgroup2(mounts), "/mnt/a b\\c\t");
  assert.deepEqual(parseMounts(mounts)[1]!.options, ["rw", "nsdelegate"]);
  assert.ok(libc.filesystemMagic(findCgroup2()) > 0);
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
  const umount = "for at in $(awk '$3 == \"cgroup2\" { print $2 }' /proc/mounts); do umount $at; done";
  const { error } = await callElsewhere("src/host/cgroup.ts", "findCgroup2", [], { setup: umount });
  assert.match(error!, /^Cannot find a cgroup2 mount: .*`mkdir -p \/run\/cgroup2 && mount -t cgroup2 none/);
  assert.throws(
    () => findCgroup2("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n"),
    /this host mounts cgroup v1 only; mount one beside it/,
  );
});

Deno.test("a cgroup is opened, and what is none is refused", () => {
  using cgroup = ownCgroup("open");
  assertClosesDescriptors(() => {
    using opened = openCgroup(cgroup.path);
    assert.equal(opened.id, BigInt(Deno.statSync(cgroup.path).ino!));
    assert.throws(
      () => openCgroup("/nowhere"),
      /^Error: Cannot use \/nowhere as the cgroup: there is no such directory/,
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
