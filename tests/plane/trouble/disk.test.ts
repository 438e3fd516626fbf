/** Files on a full disk or on one that cannot be written to. */
import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { pinsOf } from "../../lab/mda.ts";
import { Older } from "../../lab/streams/older.ts";
import { waitFor } from "../../lab/wait.ts";
import { Commands, type Where } from "./commands.ts";

/** Filesystems that only mda and what it starts see: they end with it. */
class Disk implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "mda-test-" });

  /** One without room. */
  get full(): Where {
    return { setup: `${this.#mount("size=16k")}; head -c 16384 /dev/zero >${this.path}/filler` };
  }

  get readOnly(): Where {
    return { setup: this.#mount("ro") };
  }

  /** What is in a file of it as a process sees it. */
  read(pid: number, name: string): string {
    return Deno.readTextFileSync(`/proc/${pid}/root${this.path}/${name}`);
  }

  #mount(options: string): string {
    return `mount -t tmpfs -o ${options} none ${this.path}`;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path);
  }
}

for (
  const [kind, why] of [["full", /is full \(ENOSPC\)/], [
    "readOnly",
    /read-only filesystem \(EROFS\)/,
  ]] as const
) {
  Deno.test(`a PID file on a disk that is ${kind} is an error before anything is attached`, async () => {
    await using cgroup = createCgroup("pid-file");
    await using mda = new Commands(cgroup);
    using disk = new Disk();
    const said = await mda.refused("run", { ...disk[kind], args: ["--pid-file", `${disk.path}/pid`] });
    assert.match(said, why);
    assert.equal(pinsOf(mda.pinDir), undefined);
  });
}

Deno.test("a log file on a read-only disk is an error before anything is attached", async () => {
  await using cgroup = createCgroup("log-file");
  await using mda = new Commands(cgroup);
  using disk = new Disk();
  const said = await mda.refused("run", { ...disk.readOnly, args: ["--log-file", `${disk.path}/log`] });
  assert.match(said, /Cannot open the log file .*: Read-only file system/);
  assert.equal(pinsOf(mda.pinDir), undefined);
});

Deno.test("while the disk of its log is full mda goes on, and says what is missing when there is room", async () => {
  await using cgroup = createCgroup("log-full");
  await using commands = new Commands(cgroup);
  using disk = new Disk();
  const log = `${disk.path}/log`;
  await using mda = await commands.run({ ...disk.full, args: ["--log-file", log], ready: /lines are lost/ });
  await using older = await Older.start({ cgroup }, { connections: 4 });
  await older.trips(50, 100);
  await commands.succeed("reload");
  await commands.succeed("reload");
  assert.equal(mda.stderr.split("\n").length, 2, mda.stderr);
  Deno.truncateSync(`/proc/${mda.pid}/root${disk.path}/filler`, 4096);
  await commands.succeed("reload");
  const written = await waitFor("both lines", () => /^.*\n.*\n$/.exec(disk.read(mda.pid, "log"))?.[0]);
  assert.match(
    written,
    /^\S+ info reloaded: 0 rules\n\S+ warning before this, [3-9] messages could not be written to the log: No space left .*\n$/,
  );
  assert.equal((await mda.stop()).code, 0);
});

Deno.test("a daemon needs no directory for temporary files that can be written to", async () => {
  await using cgroup = createCgroup("tmp");
  await using mda = new Commands(cgroup);
  using disk = new Disk();
  const files = Deno.makeTempDirSync({ prefix: "mda-test-" });
  const args = ["--daemon", "--pid-file", `${files}/pid`, "--log-file", `${files}/log`];
  try {
    for (const where of [disk.readOnly, disk.full]) {
      await mda.succeed("run", { ...where, args, prefix: ["env", `TMPDIR=${disk.path}`] });
      await mda.succeed("disable");
    }
    const nowhere = { setup: `${disk.readOnly.setup}; mount -t tmpfs -o ro none /run` };
    assert.match(
      await mda.refused("run", { ...nowhere, args, prefix: ["env", `TMPDIR=${disk.path}`] }),
      /^mda: Cannot start the daemon: it needs a directory for a socket .*; name one with TMPDIR$/m,
    );
  } finally {
    Deno.removeSync(files, { recursive: true });
  }
});

Deno.test("an answer that cannot be written is an error", async () => {
  await using cgroup = createCgroup("output");
  await using mda = new Commands(cgroup);
  for (const command of ["status", "query"] as const) {
    const said = await mda.refused(command, { prefix: ["sh", "-c", 'exec "$0" "$@" >/dev/full'] });
    assert.match(said, /^mda: Cannot write to standard output: No space left /);
  }
});
