import assert from "node:assert/strict";
import { ensurePinDirectory, removePinDirectory } from "../../../src/host/bpffs.ts";
import { openObject } from "../../../src/libbpf/object.ts";
import { compileFixture } from "../../plane/bpf/compile.ts";
import { ownPinDirectory } from "./directories.ts";
import { callElsewhere, type Elsewhere } from "./elsewhere.ts";

const directory = `/sys/fs/bpf/mda-test-ensure-${Deno.pid}`;

async function ensureElsewhere(path: string, where: Elsewhere): Promise<{ value?: unknown; error?: string }> {
  return await callElsewhere("src/host/bpffs.ts", "ensurePinDirectory", [path], where);
}

Deno.test("a pin directory is created with its parents, for root alone, and removed", () => {
  const path = `${directory}/inner`;
  assert.equal(ensurePinDirectory(path), true);
  try {
    assert.equal(ensurePinDirectory(path), false);
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o700);
    assert.deepEqual(removePinDirectory(path, ["never-pinned"]), []);
    assert.throws(() => Deno.statSync(path), Deno.errors.NotFound);
    assert.deepEqual(removePinDirectory(path, []), []);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("removing a pin directory leaves what others pinned", () => {
  using own = ownPinDirectory("leave");
  using object = openObject(compileFixture("sample"), "sample");
  object.load();
  object.map("table").pin(`${own.path}/ours`);
  object.map("table").pin(`${own.path}/theirs`);
  assert.deepEqual(removePinDirectory(own.path, ["ours"]), ["theirs"]);
  assert.deepEqual([...Deno.readDirSync(own.path)].map(({ name }) => name), ["theirs"]);
});

Deno.test("a bpffs is mounted where none is", async () => {
  const setup = "umount -l /sys/fs/bpf";
  assert.deepEqual(await ensureElsewhere("/sys/fs/bpf/mda", { setup }), { value: true });
});

Deno.test("a bpffs that cannot be mounted is told how", async () => {
  const setup = "umount -l /sys/fs/bpf";
  const { error } = await ensureElsewhere("/sys/fs/bpf/mda", { setup, without: ["sys_admin"] });
  assert.match(
    error!,
    /^Cannot mount a bpffs at \/sys\/fs\/bpf: EPERM .*; .*mount -t bpf bpf \/sys\/fs\/bpf/,
  );
});

Deno.test("a read-only bpffs is told how to make writable", async () => {
  const setup = "mount --bind /sys/fs/bpf /sys/fs/bpf && mount -o remount,bind,ro /sys/fs/bpf";
  const { error } = await ensureElsewhere(directory, { setup });
  assert.match(error!, /the bpffs is read-only; make it writable: mount -o remount,rw \/sys\/fs\/bpf$/);
});

Deno.test("a directory that is no place for pins is refused", async () => {
  using own = ownPinDirectory("refused");
  assert.throws(
    () => ensurePinDirectory("/tmp/mda"),
    /Cannot use \/tmp\/mda as the pin directory: \/tmp is not on a bpffs/,
  );
  assert.throws(
    () => ensurePinDirectory("/sys/fs/bpf"),
    /it is the root of the bpffs; name a directory below it/,
  );
  assert.throws(() => ensurePinDirectory(`${own.path}/v1.2`), /names on a bpffs cannot have a dot/);
  Deno.chmodSync(own.path, 0o777);
  assert.throws(() => ensurePinDirectory(own.path), /others can write to \S+ .*; chmod 0700/);
  Deno.chmodSync(own.path, 0o700);
  Deno.chownSync(own.path, 65534, 65534);
  assert.throws(() => ensurePinDirectory(own.path), /\S+refused\S+ belongs to user 65534, who could/);
  Deno.chownSync(own.path, 0, 0);
  const { error } = await ensureElsewhere(`${own.path}/inner`, { asNobody: true });
  assert.match(error!, /^Cannot use \S+\/inner as the pin directory: Permission denied/);
});

Deno.test("a directory that another user could replace is refused", () => {
  using own = ownPinDirectory("owners");
  Deno.mkdirSync(`${own.path}/inner`, { mode: 0o700 });
  Deno.chmodSync(own.path, 0o777);
  assert.throws(() => ensurePinDirectory(`${own.path}/inner`), /others can write to \S+ and so replace/);
  Deno.chmodSync(own.path, 0o1777);
  assert.equal(ensurePinDirectory(`${own.path}/inner`), false);
  assert.throws(() => ensurePinDirectory(own.path), /others can write/);
  Deno.removeSync(`${own.path}/inner`);
});
