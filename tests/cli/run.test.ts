import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { parse } from "yaml";
import { findCgroup2 } from "../../src/host/cgroup.ts";
import { binary, mda, type Result, TemporaryDirectory } from "./mda.ts";

const readyMs = 10_000;

/** `mda run` with a configuration, a cgroup and a pin directory of its own. */
class Running implements AsyncDisposable {
  readonly #directory = new TemporaryDirectory();
  readonly #name = `mda-test-cli-${crypto.randomUUID().slice(0, 8)}`;
  readonly cgroup = `${findCgroup2()}/${this.#name}`;
  readonly pinDir = `/sys/fs/bpf/${this.#name}`;
  readonly #child: Deno.ChildProcess;
  readonly #output: Promise<Deno.CommandOutput>;

  constructor(...args: string[]) {
    Deno.mkdirSync(this.cgroup);
    const config = this.#directory.write("mda.conf", "chain -p 80\nchain -p 22 -j RETURN\n");
    const own = ["--config", config, "--cgroup", this.cgroup, "--pin-dir", this.pinDir];
    this.#child = new Deno.Command(binary, {
      args: ["run", ...own, ...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#output = this.#child.output();
  }

  get pid(): number {
    return this.#child.pid;
  }

  async ready(): Promise<this> {
    const deadline = Date.now() + readyMs;
    while ((await this.status("json")).code !== 0) ok(Date.now() < deadline, "mda is not ready in time");
    return this;
  }

  status(format: string): Promise<Result> {
    return mda("status", "--pin-dir", this.pinDir, "-o", format);
  }

  async stop(signal: Deno.Signal): Promise<Result> {
    this.#child.kill(signal);
    const { code, stdout, stderr } = await this.#output;
    return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGTERM");
    } catch {
      // It has been stopped already.
    }
    await this.#output;
    this.#directory[Symbol.dispose]();
    Deno.removeSync(this.cgroup);
  }
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`mda run stops at ${signal} with exit status 0, and leaves no pins`, async () => {
    await using running = await new Running().ready();
    const { code, stdout, stderr } = await running.stop(signal);
    strictEqual(code, 0);
    strictEqual(stdout, "");
    const lines = stderr.trimEnd().split("\n");
    for (const line of lines) match(line, /^\d{4}-\d\d-\d\dT[\d:.]+Z (info|warning) \S/);
    match(lines[0]!, /info ready: 2 rules; cgroup .*\/mda-test-cli-/);
    match(lines.at(-1)!, /info stopped/);
    strictEqual(
      [...Deno.readDirSync("/sys/fs/bpf")].some(({ name }) => running.pinDir.endsWith(name)),
      false,
    );
  });
}

Deno.test("mda run --log-format json logs a JSON object a line", async () => {
  await using running = await new Running("--log-format", "json").ready();
  const { stderr } = await running.stop("SIGTERM");
  const records = stderr.trimEnd().split("\n").map((line) => JSON.parse(line));
  match(records[0].message, /^ready: 2 rules/);
  deepStrictEqual(new Set(records.map(({ level }) => level)), new Set(["INFO"]));
});

Deno.test("mda status prints the contract as JSON and YAML", async () => {
  await using running = await new Running().ready();
  const { code, stdout } = await running.status("json");
  strictEqual(code, 0);
  const status = JSON.parse(stdout);
  strictEqual(status.enabled, true);
  strictEqual(status.cgroup, running.cgroup);
  strictEqual(status.rules, 2);
  deepStrictEqual(status.connections, { paired: 0, active: 0 });
  deepStrictEqual(status.redirected, { messages: 0, bytes: 0 });
  deepStrictEqual({ unread: status.passed.unread, full: status.passed.full }, { unread: 0, full: 0 });
  deepStrictEqual(parse((await running.status("yaml")).stdout), status);
});

Deno.test("mda status prints a table", async () => {
  await using running = await new Running().ready();
  const { stdout } = await running.status("table");
  const rows = stdout.trimEnd().split("\n").map((line) => line.split(/ {2,}/));
  deepStrictEqual(rows, [
    ["enabled", "yes"],
    ["cgroup", running.cgroup],
    ["rules", "2"],
    ["connections: paired", "0"],
    ["connections: active", "0"],
    ["redirected: messages", "0"],
    ["redirected: bytes", "0"],
  ]);
});

Deno.test("mda status exits with 1 where nothing runs", async () => {
  const pinDir = "/sys/fs/bpf/mda-test-nothing";
  const { code, stdout, stderr } = await mda("status", "--pin-dir", pinDir, "-o", "json");
  strictEqual(code, 1);
  strictEqual(stderr, "");
  const { enabled, cgroup, rules } = JSON.parse(stdout);
  deepStrictEqual({ enabled, cgroup, rules }, { enabled: false, cgroup: "", rules: 0 });
  match((await mda("--pin-dir", pinDir, "status")).stdout, /^enabled +no\ncgroup +none\n/);
});

Deno.test("a second mda on the same pin directory is refused and told of the first", async () => {
  await using running = await new Running().ready();
  using directory = new TemporaryDirectory();
  const config = directory.write("mda.conf", "");
  const args = ["--config", config, "--cgroup", running.cgroup, "--pin-dir", running.pinDir];
  const { code, stderr } = await mda("run", ...args);
  strictEqual(code, 1);
  match(
    stderr,
    new RegExp(`^mda: Cannot use the pin directory .*: process ${running.pid} \\(mda\\) already uses it`),
  );
  strictEqual((await running.status("json")).code, 0);
});

Deno.test("mda run with a mistake in its configuration exits with 2 and starts nothing", async () => {
  using directory = new TemporaryDirectory();
  const pinDir = "/sys/fs/bpf/mda-test-mistake";
  const { code, stderr } = await mda(
    "run",
    "--config",
    directory.write("mda.conf", "chian\n"),
    "--pin-dir",
    pinDir,
  );
  strictEqual(code, 2);
  match(stderr, /mda\.conf:1:1: unknown word/);
  strictEqual((await mda("status", "--pin-dir", pinDir)).code, 1);
});

Deno.test("mda run takes under 120 MB of memory, none of it a copy of Deno", async () => {
  await using running = await new Running().ready();
  const status = await Deno.readTextFile(`/proc/${running.pid}/status`);
  const mb = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)![1]) / 1024;
  ok(mb("VmRSS") < 120, `VmRSS is ${mb("VmRSS")} MB`);
  ok(mb("RssShmem") < 4, `RssShmem is ${mb("RssShmem")} MB`);
});
