import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { DatagramReader } from "../../lab/datagrams.ts";
import { waitFor } from "../../lab/wait.ts";
import { end, openFiles, Service, withOwnRun } from "./service.ts";

Deno.test("mda run --log-file adds to the file, and says nothing on standard error", async () => {
  await using service = new Service();
  Deno.writeTextFileSync(service.logFile, "before\n");
  await using mda = service.start(service.argv("--log-file", service.logFile));
  await service.until(/ready: /);
  strictEqual((await mda.stop()).code, 0);
  deepStrictEqual({ stdout: mda.stdout, stderr: mda.stderr }, { stdout: "", stderr: "" });
  const [first, ...lines] = service.log().trimEnd().split("\n");
  strictEqual(first, "before");
  for (const line of lines) match(line, /^\d{4}-\d\d-\d\dT[\d:.]+Z (info|warning) \S/);
  match(lines.at(-1)!, /info stopped/);
});

Deno.test("the log file is made with mode 0640", async () => {
  await using service = new Service();
  await service.run(service.daemonArgv());
  strictEqual(Deno.statSync(service.logFile).mode! & 0o7777, 0o640);
});

Deno.test("mda run --log-file with --log-format json writes a JSON object a line", async () => {
  await using service = new Service();
  await service.run(service.daemonArgv("--log-format", "json"));
  await end(service.daemon());
  const records = service.log().trimEnd().split("\n").map((line) => JSON.parse(line));
  match(records[0].message, /^ready: 1 rule/);
  match(records.at(-1).message, /^stopped/);
});

Deno.test("SIGHUP opens the log file again, and what was logged stays", async () => {
  await using service = new Service();
  await service.run(service.daemonArgv());
  const { pid } = service.daemon();
  const moved = `${service.logFile}.1`;
  Deno.renameSync(service.logFile, moved);
  Deno.kill(pid, "SIGHUP");
  await service.until(/ info reloaded: /);
  match(Deno.readTextFileSync(moved), /^\S+ info ready: .*\n$/);
  const open = [...openFiles(pid).values()];
  deepStrictEqual(open.filter((path) => path.startsWith(service.logFile)), [service.logFile]);
});

Deno.test("a log file that cannot be opened again is written on", async () => {
  await using service = new Service();
  const logs = `${service.directory.path}/logs`;
  Deno.mkdirSync(logs);
  await service.run(service.daemonArgv("--log-file", `${logs}/mda.log`));
  Deno.renameSync(logs, `${logs}.moved`);
  Deno.kill(service.daemon().pid, "SIGHUP");
  await waitFor("the error in the log", () => {
    const log = Deno.readTextFileSync(`${logs}.moved/mda.log`);
    return /error Cannot open the log file .*; what is logged goes on to the file that was open\n/.test(log);
  });
});

Deno.test("why mda ends is said on standard error and in the log", async () => {
  await using service = new Service();
  const { code, stderr } = await service.run(
    service.argv("--log-file", service.logFile, "--cgroup", "/proc"),
  );
  strictEqual(code, 1);
  match(stderr, /^mda: Cannot use \/proc as the cgroup: .*\n$/);
  match(service.log(), /^\S+ fatal Cannot use \/proc as the cgroup: .*\n$/);
});

Deno.test("braces in a message are logged as they are", async () => {
  await using service = new Service();
  const config = service.directory.write("bad.conf", "chain --{name} 80\n");
  await service.run(service.argv("--log-file", service.logFile, "--config", config));
  ok(service.log().includes("    chain --{name} 80\n"), service.log());
});

Deno.test("under systemd, lines on standard error begin with their priority", async () => {
  await using service = new Service();
  const script = 'export JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2); exec "$@"';
  await using mda = service.start(["sh", "-c", script, "sh", ...service.argv()]);
  await mda.says(/<6>stopped|ready: /);
  strictEqual((await mda.stop()).code, 0);
  for (const line of mda.stderr.trimEnd().split("\n")) match(line, /^<[46]>\S/);
  match(mda.stderr, /^<6>ready: 1 rule/);

  const config = service.directory.write("bad.conf", "chian\n");
  const failed = await service.run(["sh", "-c", script, "sh", ...service.argv("--config", config)]);
  strictEqual(failed.code, 2);
  for (const line of failed.stderr.trimEnd().split("\n")) match(line, /^<2>/);
});

Deno.test("a JOURNAL_STREAM that is not standard error changes nothing", async () => {
  await using service = new Service();
  await using mda = service.start(service.argv(), { JOURNAL_STREAM: "9:1" });
  await mda.says(/^\S+Z info ready: /);
});

/** The fields of a datagram in the journal's native protocol. */
function fieldsOf(datagram: Uint8Array<ArrayBuffer>): Record<string, string> {
  const fields: Record<string, string> = {};
  const text = (from: number, to: number) => new TextDecoder().decode(datagram.subarray(from, to));
  for (let at = 0; at < datagram.length;) {
    const line = datagram.indexOf(10, at);
    const equals = datagram.indexOf(61, at);
    if (equals >= 0 && equals < line) {
      fields[text(at, equals)] = text(equals + 1, line);
      at = line + 1;
    } else {
      const length = Number(new DataView(datagram.buffer).getBigUint64(line + 1, true));
      const value = line + 1 + 8;
      fields[text(at, line)] = text(value, value + length);
      strictEqual(datagram[value + length], 10);
      at = value + length + 1;
    }
  }
  return fields;
}

Deno.test("a daemon logs to the journal where there is one", async () => {
  await using service = new Service();
  const run = `${service.directory.path}/run`;
  Deno.mkdirSync(`${run}/systemd/journal`, { recursive: true });
  using journal = new DatagramReader(`${run}/systemd/journal/socket`);
  const argv = withOwnRun(run, service.argv("--daemon", "--pid-file", service.pidFile));
  deepStrictEqual(await service.run(argv), { code: 0, stdout: "", stderr: "" });
  await end(service.daemon());
  await journal.text(/stopped/);
  const records = journal.received.map(fieldsOf);
  match(records[0].MESSAGE, /^ready: 1 rule; /);
  deepStrictEqual({ ...records[0], MESSAGE: "" }, {
    MESSAGE: "",
    PRIORITY: "6",
    SYSLOG_IDENTIFIER: "mda",
  });

  // Several lines in one value.
  const config = service.directory.write("bad.conf", "chian\n");
  const failed = await service.run([...argv, "--config", config]);
  strictEqual(failed.code, 2);
  await journal.text(/unknown word/);
  const { MESSAGE, PRIORITY } = fieldsOf(journal.received.at(-1)!);
  deepStrictEqual({ MESSAGE, PRIORITY }, { MESSAGE: failed.stderr.trimEnd(), PRIORITY: "2" });
});

Deno.test("a daemon goes on when the journal goes away", async () => {
  await using service = new Service();
  const run = `${service.directory.path}/run`;
  Deno.mkdirSync(`${run}/systemd/journal`, { recursive: true });
  {
    using _journal = new DatagramReader(`${run}/systemd/journal/socket`);
    const argv = withOwnRun(run, service.argv("--daemon", "--pid-file", service.pidFile));
    strictEqual((await service.run(argv)).code, 0);
  }
  await end(service.daemon());
  ok(!await service.isEnabled());
});

Deno.test("a daemon without a journal asks for a log file", async () => {
  await using service = new Service();
  const run = `${service.directory.path}/run`;
  Deno.mkdirSync(run);
  const argv = withOwnRun(run, service.argv("--daemon", "--pid-file", service.pidFile));
  deepStrictEqual(await service.run(argv), {
    code: 1,
    stdout: "",
    stderr: "mda: Cannot log: this host has no systemd journal; name a file with --log-file\n",
  });
});

Deno.test("a disk that is full does not stop mda", async () => {
  await using service = new Service();
  await using mda = service.start(service.argv("--log-file", "/dev/full"));
  await mda.says(/^mda: Cannot write to the log file \/dev\/full: .*; lines are lost\n/);
  ok(await service.isEnabled());
  strictEqual((await mda.stop()).code, 0);
  strictEqual(mda.stderr.match(/lines are lost/g)!.length, 1);
});
