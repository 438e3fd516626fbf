import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { monotonicUs } from "../../../src/host/libc/mod.ts";
import { DatagramReader } from "../../lab/datagrams.ts";
import { sleep, waitFor } from "../../lab/wait.ts";
import { Service } from "./service.ts";

for (const kind of ["a path", "an abstract name"]) {
  Deno.test(`mda run tells the service manager at ${kind} when it is ready and when it stops`, async () => {
    await using service = new Service();
    const path = `${service.directory.path}/notify`;
    using manager = new DatagramReader(kind === "a path" ? path : `@${path}`);
    await using mda = service.start(service.argv(), { NOTIFY_SOCKET: manager.name });
    match(await manager.text(/^READY=1$/m), /^READY=1\nSTATUS=accelerates .*mda-test-accelerated-.*$/);
    ok(await service.isEnabled());
    strictEqual((await mda.stop()).code, 0);
    deepStrictEqual(manager.texts().map((text) => text.split("\n")[0]), ["READY=1", "STOPPING=1"]);
  });
}

Deno.test("where a service manager waits, mda run stays in the foreground though its file says daemon", async () => {
  await using service = new Service();
  const config = service.directory.write("daemon.conf", "set mode daemon\n");
  using manager = new DatagramReader(`${service.directory.path}/notify`);
  await using mda = service.start(service.argv("--config", config), { NOTIFY_SOCKET: manager.name });
  await manager.text(/^READY=1$/m);
  deepStrictEqual([mda.running, service.processes.pids()], [true, [mda.pid]]);
  strictEqual((await mda.stop()).code, 0);
});

Deno.test("SIGHUP is a RELOADING=1 with the time, and a READY=1", async () => {
  await using service = new Service();
  using manager = new DatagramReader(`${service.directory.path}/notify`);
  await using mda = service.start(service.argv(), { NOTIFY_SOCKET: manager.name });
  await manager.text(/^READY=1$/m);
  service.directory.write("mda.conf", "chain -p 80\nchain -p 81\n");
  const beforeUs = monotonicUs();
  mda.kill("SIGHUP");
  match(await manager.text(/, 2 rules$/), /^READY=1\n/);
  const [, reloading] = manager.texts();
  const [, timeUs] = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(reloading)!;
  ok(BigInt(timeUs) >= beforeUs && BigInt(timeUs) <= monotonicUs(), `${timeUs} is not from ${beforeUs} on`);
});

Deno.test("a watchdog hears of mda twice in its time", async () => {
  await using service = new Service();
  using manager = new DatagramReader(`${service.directory.path}/notify`);
  const env = { NOTIFY_SOCKET: manager.name, WATCHDOG_USEC: "400000" };
  await using mda = service.start(service.argv(), env);
  await manager.text(/^READY=1$/m);
  const alive = () => manager.texts().filter((text) => text === "WATCHDOG=1").length;
  const began = performance.now();
  await waitFor("five signs of life", () => alive() >= 5);
  ok(performance.now() - began > 4 * 200 * 0.9, `five came within ${performance.now() - began} ms`);
  ok(mda.running);
});

Deno.test("a watchdog of another process hears nothing", async () => {
  await using service = new Service();
  using manager = new DatagramReader(`${service.directory.path}/notify`);
  const env = { NOTIFY_SOCKET: manager.name, WATCHDOG_USEC: "20000", WATCHDOG_PID: String(Deno.pid) };
  await using mda = service.start(service.argv(), env);
  await manager.text(/^READY=1$/m);
  await sleep(200);
  await mda.stop();
  ok(!manager.texts().includes("WATCHDOG=1"));
});

Deno.test("mda run with a mistake in its configuration is never ready", async () => {
  await using service = new Service();
  using manager = new DatagramReader(`${service.directory.path}/notify`);
  const argv = service.argv("--config", service.directory.write("bad.conf", "chian\n"));
  strictEqual((await service.run(argv, { NOTIFY_SOCKET: manager.name })).code, 2);
  deepStrictEqual(manager.texts(), []);
});

Deno.test("mda run goes on without the service manager that it was told of", async () => {
  await using service = new Service();
  const missing = `${service.directory.path}/missing`;
  await using mda = service.start(service.argv(), { NOTIFY_SOCKET: missing });
  await mda.says(/warning Cannot notify the service manager: Cannot send to .*missing: ENOENT/);
  await sleep(100);
  ok(await service.isEnabled());
  strictEqual((await mda.stop()).code, 0);
  strictEqual(mda.stderr.match(/Cannot notify/g)!.length, 1);
});

Deno.test("mda run without a service manager tells nobody", async () => {
  await using service = new Service();
  await using mda = service.start(service.argv(), { NOTIFY_SOCKET: "", WATCHDOG_USEC: "100000" });
  await mda.says(/ready: /);
  strictEqual((await mda.stop()).code, 0);
  ok(!mda.stderr.includes("notify"), mda.stderr);
});

Deno.test("a daemon does not speak to the service manager of who started it", async () => {
  await using service = new Service();
  using manager = new DatagramReader(`${service.directory.path}/notify`);
  strictEqual((await service.run(service.daemonArgv(), { NOTIFY_SOCKET: manager.name })).code, 0);
  service.daemon();
  deepStrictEqual(manager.texts(), []);
});
