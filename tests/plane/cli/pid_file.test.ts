import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { identifyProcess, isRunning } from "../../../src/host/process.ts";
import { nobody, shell } from "./mda.ts";
import { end, Service, withOwnRun } from "./service.ts";

Deno.test("mda run --pid-file has its number in the file until it stops", async () => {
  await using service = new Service();
  await using mda = service.start(service.argv("--pid-file", service.pidFile));
  await mda.says(/ready: /);
  strictEqual(Deno.readTextFileSync(service.pidFile), `${mda.pid}\n`);
  strictEqual(Deno.statSync(service.pidFile).mode! & 0o7777, 0o644);
  strictEqual((await mda.stop()).code, 0);
  deepStrictEqual([...Deno.readDirSync(service.directory.path)].map(({ name }) => name), ["mda.conf"]);
});

Deno.test("the PID file has mode 0644 whatever the umask is", async () => {
  await using service = new Service();
  const { code } = await service.run(["sh", "-c", 'umask 077; exec "$0" "$@"', ...service.daemonArgv()]);
  strictEqual(code, 0);
  strictEqual(Deno.statSync(service.pidFile).mode! & 0o7777, 0o644);
  service.daemon();
});

Deno.test("a PID file that a crash has left is replaced", async () => {
  await using service = new Service();
  await service.run(service.daemonArgv());
  const crashed = service.daemon();
  await end(crashed, "SIGKILL");
  strictEqual(Deno.readTextFileSync(service.pidFile), `${crashed.pid}\n`);
  deepStrictEqual(await service.run(service.daemonArgv()), { code: 0, stdout: "", stderr: "" });
  ok(service.daemon().pid !== crashed.pid);
});

Deno.test("a PID file that names a process by chance is replaced", async () => {
  await using service = new Service();
  Deno.writeTextFileSync(service.pidFile, "1\n");
  strictEqual((await service.run(service.daemonArgv())).code, 0);
  ok(service.daemon().pid !== 1);
});

Deno.test("a PID file in use is an error that names the file and the process", async () => {
  await using service = new Service();
  await service.run(service.daemonArgv());
  const running = service.daemon();
  const { code, stderr } = await service.run(service.daemonArgv("--pin-dir", `${service.pinDir}-other`));
  strictEqual(code, 1);
  strictEqual(
    stderr,
    `mda: Cannot use ${service.pidFile} as the PID file: process ${running.pid} (mda) already uses it; stop it first, or ` +
      "name another file with --pid-file\n",
  );
  deepStrictEqual(service.daemon(), running);
});

Deno.test("of many that start at once, one has the PID file", async () => {
  await using service = new Service();
  Deno.writeTextFileSync(service.pidFile, "999999999\n");
  const outputs = await Promise.all(Array.from({ length: 4 }, () => service.run(service.daemonArgv())));
  deepStrictEqual(outputs.map(({ code }) => code).sort(), [0, 1, 1, 1]);
  for (const { code, stderr } of outputs) {
    if (code === 1) match(stderr, /^mda: Cannot use .* already uses it/);
  }
  ok(isRunning(service.daemon()));
  const names = [...Deno.readDirSync(service.directory.path)].map(({ name }) => name).sort();
  deepStrictEqual(names, ["mda.conf", "mda.log", "mda.pid"]);
});

Deno.test("the PID file of a daemon is /run/mda.pid unless named", async () => {
  await using service = new Service();
  const run = `${service.directory.path}/run`;
  Deno.mkdirSync(run);
  const argv = withOwnRun(run, service.argv("--daemon", "--log-file", service.logFile));
  deepStrictEqual(await service.run(argv), { code: 0, stdout: "", stderr: "" });
  await end(service.daemon(`${run}/mda.pid`));
  deepStrictEqual([...Deno.readDirSync(run)], []);
});

/** What is at the path of the PID file, and what mda says about it. */
const obstacles: [what: string, make: (path: string) => void, error: RegExp][] = [
  [
    "a symbolic link",
    (path) => Deno.symlinkSync(`${path}.target`, path),
    /: it is a symbolic link, which is not followed \(ELOOP\)\n$/,
  ],
  ["a directory", (path) => Deno.mkdirSync(path), /: it is there, and no file\n$/],
  [
    "another file",
    (path) => Deno.writeTextFileSync(path, "root:x:0:0:root:/root:/bin/bash\n"),
    /: it is there and holds no process number; remove it if it is of no use\n$/,
  ],
];
for (const [what, make, error] of obstacles) {
  Deno.test(`${what} at the path of the PID file stays, and nothing is loaded`, async () => {
    await using service = new Service();
    make(service.pidFile);
    const before = Deno.lstatSync(service.pidFile);
    const { code, stderr } = await service.run(service.argv("--pid-file", service.pidFile));
    strictEqual(code, 1);
    match(stderr, error);
    ok(stderr.startsWith(`mda: Cannot use ${service.pidFile} as the PID file: `), stderr);
    const { ino, size, mtime } = Deno.lstatSync(service.pidFile);
    deepStrictEqual({ ino, size, mtime }, { ino: before.ino, size: before.size, mtime: before.mtime });
    ok(!await service.isEnabled());
  });
}

Deno.test("a FIFO at the path of the PID file does not hold mda up", async () => {
  await using service = new Service();
  await shell('mkfifo "$1"', service.pidFile);
  const { code, stderr } = await service.run(service.argv("--pid-file", service.pidFile));
  strictEqual(code, 1);
  match(stderr, /: it is there, and no file\n$/);
});

Deno.test("a directory that is not there or takes no file is a clear error", async () => {
  await using service = new Service();
  const missing = await service.run(service.argv("--pid-file", "/nowhere/mda.pid"));
  strictEqual(missing.code, 1);
  strictEqual(
    missing.stderr,
    "mda: Cannot use /nowhere/mda.pid as the PID file: there is no directory /nowhere (ENOENT)\n",
  );
  const proc = await service.run(service.argv("--pid-file", "/proc/mda.pid"));
  strictEqual(proc.code, 1);
  match(proc.stderr, /^mda: Cannot use \/proc\/mda\.pid as the PID file: /);
});

Deno.test("a PID file that was removed and made anew by somebody else is not removed", async () => {
  await using service = new Service();
  await service.run(service.daemonArgv());
  const daemon = service.daemon();
  Deno.removeSync(service.pidFile);
  Deno.writeTextFileSync(service.pidFile, "another's\n");
  await end(daemon);
  strictEqual(Deno.readTextFileSync(service.pidFile), "another's\n");
});

Deno.test("a lock of another program is reported by that program's name", async () => {
  await using service = new Service();
  Deno.writeTextFileSync(service.pidFile, "");
  await using holder = service.start(["flock", "--no-fork", service.pidFile, "sleep", "60"]);
  await holderSleeps(holder.pid);
  const { code, stderr } = await service.run(service.argv("--pid-file", service.pidFile));
  strictEqual(code, 1);
  ok(stderr.includes(`: process ${holder.pid} (sleep) already uses it`), stderr);
});

async function holderSleeps(pid: number): Promise<void> {
  await shell(`until [ "$(cat /proc/$1/comm)" = sleep ]; do sleep 0.01; done`, String(pid));
  ok(identifyProcess(pid));
}

Deno.test("a user who is not root may not make one in /run", async () => {
  await using service = new Service();
  // PID file first: what follows needs rights that nobody has.
  const argv = service.argv("--pid-file", "/run/mda-test.pid");
  const { code, stderr } = await service.run([
    "setpriv",
    "--clear-groups",
    `--reuid=${nobody.uid}`,
    `--regid=${nobody.gid}`,
    ...argv,
  ]);
  strictEqual(code, 1);
  strictEqual(
    stderr,
    "mda: Cannot use /run/mda-test.pid as the PID file: nothing may be created in /run (EACCES)\n",
  );
});
