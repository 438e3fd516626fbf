import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { newPinDir, pinsOf, statusOf } from "../../lab/mda.ts";
import { run } from "../../lab/program.ts";
import { Older } from "../../lab/streams/older.ts";
import { Commands, commands } from "./commands.ts";

const notMounted = "umount -l /sys/fs/bpf";
const readOnly = "mount --bind /sys/fs/bpf /sys/fs/bpf && mount -o remount,bind,ro /sys/fs/bpf";
const remedy = /: the bpffs is read-only; make it writable: mount -o remount,rw \/sys\/fs\/bpf$/m;

Deno.test("a bpffs is mounted at the usual place where none is", async () => {
  await using cgroup = createCgroup("no-bpffs");
  await using mda = new Commands(cgroup);
  assert.match(await mda.succeed("enable", { setup: notMounted }), /^enabled for /);
  await using running = await mda.run({ setup: notMounted });
  assert.match(
    Deno.readTextFileSync(`/proc/${running.pid}/mountinfo`),
    / \/sys\/fs\/bpf .* - bpf bpf .*mode=700/,
  );
  assert.equal(pinsOf(mda.pinDir), undefined);
  assert.equal((await running.stop()).code, 0, running.stderr);
});

Deno.test("where none can be mounted, mda says how to, and that nothing is enabled", async () => {
  await using cgroup = createCgroup("no-mount");
  await using mda = new Commands(cgroup);
  const where = { setup: notMounted, without: ["sys_admin"] };
  for (const command of ["run", "enable"] as const) {
    assert.match(
      await mda.refused(command, where),
      /Cannot mount a bpffs at \/sys\/fs\/bpf: EPERM .*; mount it as the host's root: mount -t bpf bpf \/sys\/fs\/bpf$/m,
    );
  }
  assert.match(await mda.refused("reload", where), /Cannot reload: nothing is enabled at /);
  assert.equal(await mda.succeed("disable", where), "was not enabled\n");
  assert.deepEqual(await mda.try("query", where), { code: 1, stdout: "disabled\n", stderr: "" });
});

Deno.test("nothing is started on a read-only bpffs", async () => {
  await using cgroup = createCgroup("read-only");
  await using mda = new Commands(cgroup);
  const where = { setup: readOnly };
  for (const command of ["run", "enable"] as const) assert.match(await mda.refused(command, where), remedy);
  assert.match(await mda.refused("reload", where), /Cannot reload: nothing is enabled at /);
  assert.equal(await mda.succeed("disable", where), "was not enabled\n");
  assert.deepEqual(await mda.try("query", where), { code: 1, stdout: "disabled\n", stderr: "" });
});

Deno.test("what is enabled goes on while its bpffs is read-only, and can be looked at, reloaded and stopped", async () => {
  await using cgroup = createCgroup("turned-read-only");
  await using mda = new Commands(cgroup);
  await mda.succeed("enable");
  await using older = await Older.start({ cgroup });
  const before = await statusOf(mda.pinDir);
  const where = { setup: readOnly };
  for (const command of ["run", "enable"] as const) assert.match(await mda.refused(command, where), remedy);
  assert.equal(await mda.succeed("query", where), "enabled\n");
  assert.match(await mda.succeed("status", where), /^enabled +yes$/m);
  assert.equal(await mda.succeed("reload", where), "reloaded: no rules, every local connection\n");
  await older.trips(10, 100);
  const after = await statusOf(mda.pinDir);
  assert.ok(after.status.redirected.messages > before.status.redirected.messages + 50, JSON.stringify(after));

  assert.match(
    await mda.refused("disable", where),
    /Cannot remove the pins in \S+: the bpffs is read-only; make it writable with `mount -o remount,rw \/sys\/fs\/bpf`, then run mda disable$/m,
  );
  const stopped = await statusOf(mda.pinDir);
  assert.deepEqual([stopped.code, stopped.status.connections.active], [1, 0]);
  await older.trips(10, 100);
  assert.equal(await mda.succeed("disable"), "disabled; every connection is on TCP\n");
  assert.equal(pinsOf(mda.pinDir), undefined);
});

Deno.test("an mda whose bpffs turns read-only stops all the same, and says what it left", async () => {
  await using cgroup = createCgroup("turns-read-only");
  await using mda = new Commands(cgroup);
  await using running = await mda.run({ setup: "mount --bind /sys/fs/bpf /sys/fs/bpf" });
  await using older = await Older.start({ cgroup });
  await run({}, [
    "nsenter",
    "--mount",
    `--target=${running.pid}`,
    "mount",
    "-o",
    "remount,bind,ro",
    "/sys/fs/bpf",
  ]);
  const { code } = await running.stop();
  assert.equal(code, 1);
  assert.match(running.stderr, /^mda: Cannot remove the pins in \S+: the bpffs is read-only; /m);
  assert.equal((await statusOf(mda.pinDir)).status.connections.active, 0);
  await older.trips(10, 100);
});

Deno.test("maps of another program are refused by every command, and left as they are", async () => {
  await using cgroup = createCgroup("foreign");
  await using mda = new Commands(cgroup);
  const create = (name: string, kind: string, valueBytes: number, itsName: string) =>
    run({}, [
      ..."bpftool map create".split(" "),
      `${mda.pinDir}/${name}`,
      ...`type ${kind} key 4 value ${valueBytes} entries 1 name ${itsName}`.split(" "),
    ]);
  const dump = () => run({}, ["bpftool", "map", "dump", "pinned", `${mda.pinDir}/control`]);
  Deno.mkdirSync(mda.pinDir, { mode: 0o700 });
  try {
    await create("control", "array", 4, "control");
    await run({}, [
      "bpftool",
      "map",
      "update",
      "pinned",
      `${mda.pinDir}/control`,
      ..."key 0 0 0 0 value 7 7 7 7".split(" "),
    ]);
    await create("sockets", "hash", 4, "theirs");
    const before = await dump();
    for (const command of ["run", "enable", "disable", "reload", "status"] as const) {
      assert.match(
        await mda.refused(command),
        /Cannot use the map pinned at \S+\/sockets: its name is theirs and not sockets; it belongs to another program, choose another directory with --pin-dir$/m,
      );
      assert.equal(await dump(), before);
    }
    assert.deepEqual(pinsOf(mda.pinDir), ["control", "sockets"]);
  } finally {
    Deno.removeSync(mda.pinDir, { recursive: true });
  }
});

Deno.test("a directory with pins of another program is refused, and left as it is", async () => {
  await using cgroup = createCgroup("beside");
  await using mda = new Commands(cgroup);
  Deno.mkdirSync(mda.pinDir, { mode: 0o700 });
  const theirs = `${mda.pinDir}/theirs`;
  try {
    await run({}, [
      "bpftool",
      "map",
      "create",
      theirs,
      ..."type hash key 4 value 4 entries 1 name theirs".split(" "),
    ]);
    assert.equal(await mda.succeed("disable"), "was not enabled\n");
    for (const command of ["run", "enable"] as const) {
      assert.match(
        await mda.refused(command),
        /Cannot use \S+ as the pin directory: theirs is another program's; choose another with --pin-dir$/m,
      );
    }
    assert.deepEqual(pinsOf(mda.pinDir), ["theirs"]);
  } finally {
    Deno.removeSync(theirs);
  }
});

Deno.test("maps of another version are said to be so, stopped by disable, and replaced by a start", async () => {
  await using cgroup = createCgroup("version");
  await using mda = new Commands(cgroup);
  const leaveAnother = async () => {
    await mda.succeed("enable");
    Deno.removeSync(`${mda.pinDir}/instance`);
    const shape = "type array key 4 value 8 entries 1 name instance".split(" ");
    await run({}, ["bpftool", "map", "create", `${mda.pinDir}/instance`, ...shape]);
  };
  await leaveAnother();
  assert.match(
    await mda.refused("status"),
    /Cannot tell the status: \S+ is of another version of mda; mda run and mda enable of this version take over from it, mda disable stops it$/m,
  );
  assert.match(await mda.refused("reload"), /Cannot reload: \S+ is of another version of mda; /);
  assert.equal(await mda.succeed("query"), "enabled\n");
  assert.equal(await mda.succeed("disable"), "disabled; every connection is on TCP\n");

  await leaveAnother();
  await using older = await Older.start({ cgroup });
  assert.match(await mda.succeed("enable"), /^enabled for .*; 10 open connections adopted$/m);
  await older.trips(10, 100);
  const { status } = await statusOf(mda.pinDir);
  assert.ok(status.enabled && status.redirected.messages > 50, JSON.stringify(status));
});

Deno.test("a pin directory that is none is refused by every command", async () => {
  await using cgroup = createCgroup("no-directory");
  const path = newPinDir();
  await run({}, [
    "bpftool",
    "map",
    "create",
    path,
    ..."type hash key 4 value 4 entries 1 name theirs".split(" "),
  ]);
  const mda = new Commands(cgroup, path);
  try {
    for (const command of commands) {
      assert.match(await mda.refused(command), new RegExp(`${path}\\b.*directory`));
    }
  } finally {
    Deno.removeSync(path);
    Deno.removeSync(mda.config);
  }
});
