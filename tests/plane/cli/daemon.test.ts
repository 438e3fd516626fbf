import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { isRunning } from "../../../src/host/process.ts";
import { sleep, waitFor } from "../../lab/wait.ts";
import { shell } from "./mda.ts";
import { end, openFiles, Service } from "./service.ts";

Deno.test("mda run --daemon returns with 0 and without a word when it accelerates", async () => {
  await using service = new Service();
  deepStrictEqual(await service.run(service.daemonArgv()), { code: 0, stdout: "", stderr: "" });
  ok(await service.isEnabled());
  match(service.log(), /^\S+ info ready: 1 rule; .*\n/);
});

Deno.test("SIGTERM stops a daemon in order", async () => {
  await using service = new Service();
  await service.run(service.daemonArgv());
  await end(service.daemon());
  ok(!await service.isEnabled());
  match(service.log(), /info SIGTERM: stopping\n.*info stopped: .*\n$/);
  deepStrictEqual([...Deno.readDirSync(service.directory.path)].map(({ name }) => name).sort(), [
    "mda.conf",
    "mda.log",
  ]);
});

Deno.test("a daemon has a session of its own, the root as its directory, and no terminal or pipe", async () => {
  await using service = new Service();
  await service.run(service.daemonArgv());
  const { pid } = service.daemon();
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const [, , , session, terminal] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
  deepStrictEqual({ session, terminal }, { session: pid, terminal: 0 });
  strictEqual(Deno.readLinkSync(`/proc/${pid}/cwd`), "/");
  const open = openFiles(pid);
  deepStrictEqual([0, 1, 2].map((fd) => open.get(fd)), Array(3).fill("/dev/null"));
  deepStrictEqual([...open.values()].filter((file) => file.startsWith("pipe:")), []);
});

Deno.test("what reads the output of mda run --daemon sees its end", async () => {
  await using service = new Service();
  const script = '{ "$@" && echo started; } 3>&1 4>&1 2>&1 | cat';
  const { stdout } = await service.run(["sh", "-c", script, "sh", ...service.daemonArgv()]);
  strictEqual(stdout, "started\n");
  service.daemon();
});

Deno.test("relative paths are of the directory that mda run --daemon was called in", async () => {
  await using service = new Service();
  const files = ["--config", "mda.conf", "--log-file", "relative.log", "--pid-file", "relative.pid"];
  const script = 'cd "$0" && exec "$@"';
  const argv = ["sh", "-c", script, service.directory.path, ...service.argv("--daemon", ...files)];
  strictEqual((await service.run(argv)).stderr, "");
  await end(service.daemon(`${service.directory.path}/relative.pid`));
  match(Deno.readTextFileSync(`${service.directory.path}/relative.log`), /ready: 1 rule/);
});

const failures: [what: string, args: (service: Service) => string[], code: number, stderr: RegExp][] = [
  [
    "a mistake in its configuration",
    ({ directory }) => ["--config", directory.write("bad.conf", "chian\n")],
    2,
    /bad\.conf:1:1: unknown word chian/,
  ],
  ["a cgroup that is none", () => ["--cgroup", "/proc"], 1, /^mda: Cannot use \/proc as the cgroup: /],
];
for (const [what, args, code, stderr] of failures) {
  Deno.test(`mda run --daemon with ${what} says and exits what mda run does`, async () => {
    await using service = new Service();
    const own = args(service);
    const failed = await service.run(service.daemonArgv(...own));
    strictEqual(failed.code, code);
    match(failed.stderr, stderr);
    deepStrictEqual(failed, await service.run(service.argv(...own)));
    deepStrictEqual(service.processes.pids(), []);
    ok(service.log().includes(failed.stderr.replace(/^mda: /, "").trimEnd()));
  });
}

Deno.test("mda run --daemon with a log file that cannot be made starts nothing", async () => {
  await using service = new Service();
  const { code, stderr } = await service.run(service.daemonArgv("--log-file", "/nowhere/mda.log"));
  strictEqual(code, 1);
  match(stderr, /^mda: Cannot open the log file \/nowhere\/mda\.log: .*\n$/);
  deepStrictEqual(service.processes.pids(), []);
});

/** Starts a daemon and stops it (SIGSTOP) before it can be ready. */
async function startStopped(service: Service) {
  const parent = service.start(service.daemonArgv());
  const child = await waitFor(
    "the daemon's process",
    () => service.processes.pids().find((pid) => pid !== parent.pid && sessionOf(pid) === pid),
    { everyMs: 1 },
  );
  Deno.kill(child, "SIGSTOP");
  return { parent, child };
}

function sessionOf(pid: number): number | undefined {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[3]);
  } catch {
    return undefined;
  }
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`${signal} before a daemon is ready stops it`, async () => {
    await using service = new Service();
    const { parent, child } = await startStopped(service);
    parent.kill(signal);
    await sleep(200);
    Deno.kill(child, "SIGCONT");
    strictEqual((await parent.ended()).code, 1);
    strictEqual(
      parent.stderr,
      `mda: Cannot start the daemon: ${signal} before it was ready; it is stopped\n`,
    );
    deepStrictEqual(service.processes.pids(), []);
    ok(!await service.isEnabled());
  });
}

Deno.test("a daemon that a signal ends before it is ready is an error", async () => {
  await using service = new Service();
  const { parent, child } = await startStopped(service);
  Deno.kill(child, "SIGKILL");
  strictEqual((await parent.ended()).code, 1);
  strictEqual(parent.stderr, "mda: Cannot start the daemon: SIGKILL ended it before it was ready\n");
});

Deno.test("a daemon outlives the shell that started it, and the group that the shell ends with", async () => {
  await using service = new Service();
  const script = '"$@"; kill -KILL 0';
  await service.run(["setsid", "--wait", "sh", "-c", script, "sh", ...service.daemonArgv()]);
  const daemon = service.daemon();
  await sleep(100);
  ok(isRunning(daemon));
});

Deno.test("nothing is left in the temporary directory", async () => {
  await using service = new Service();
  const temporary = `${service.directory.path}/tmp`;
  Deno.mkdirSync(temporary);
  await service.run(service.daemonArgv(), { TMPDIR: temporary });
  service.daemon();
  strictEqual((await shell('ls -A "$1"', temporary)).stdout, "");
});
