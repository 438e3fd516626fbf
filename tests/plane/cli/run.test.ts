import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { parse } from "yaml";
import { probeKernel } from "../../../src/checks/features.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { Mda, newPinDir } from "../../lab/mda.ts";
import { mda, TemporaryDirectory } from "./mda.ts";

const config = "chain -p 80\nchain -p 22 -j RETURN\n";

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`mda run stops at ${signal} with exit status 0, and leaves no pins`, async () => {
    await using cgroup = createCgroup("run");
    await using running = await Mda.start({ cgroup, config });
    const lines = (await running.stop(signal)).trimEnd().split("\n");
    strictEqual(running.program.stdout, "");
    for (const line of lines) match(line, /^\d{4}-\d\d-\d\dT[\d:.]+Z (info|warning) \S/);
    match(lines[0]!, /info ready: 2 rules; cgroup .*\/mda-test-run-/);
    match(lines.at(-1)!, /info stopped/);
  });
}

Deno.test("mda run --log-format json logs a JSON object a line", async () => {
  await using cgroup = createCgroup("run");
  await using running = await Mda.start({ cgroup, config, args: ["--log-format", "json"] });
  const records = (await running.stop()).trimEnd().split("\n").map((line) => JSON.parse(line));
  match(records[0].message, /^ready: 2 rules/);
  deepStrictEqual(new Set(records.map(({ level }) => level)), new Set(["INFO"]));
});

Deno.test("mda status prints the contract as JSON and YAML", async () => {
  await using cgroup = createCgroup("run");
  await using running = await Mda.start({ cgroup, config });
  const { code, stdout } = await mda("status", "--pin-dir", running.pinDir, "-o", "json");
  strictEqual(code, 0);
  const status = JSON.parse(stdout);
  strictEqual(status.enabled, true);
  strictEqual(status.cgroup, cgroup.path);
  strictEqual(status.rules, 2);
  deepStrictEqual(status.connections, { paired: 0, adopted: 0, active: 0, max: 131072 });
  deepStrictEqual(status.redirected, { messages: 0, bytes: 0 });
  deepStrictEqual({ unread: status.passed.unread, full: status.passed.full }, { unread: 0, full: 0 });
  deepStrictEqual(parse((await mda("status", "--pin-dir", running.pinDir, "-o", "yaml")).stdout), status);
});

Deno.test("mda status prints a table", async () => {
  await using cgroup = createCgroup("run");
  await using running = await Mda.start({ cgroup, config });
  const { stdout } = await mda("status", "--pin-dir", running.pinDir);
  const rows = stdout.trimEnd().split("\n").map((line) => line.split(/ {2,}/));
  const since = rows.find(([name]) => name === "since");
  match(since![1], /^20\d\d-\S+Z \(\d\S* ago\)$/);
  deepStrictEqual(rows.filter((row) => row !== since), [
    ["enabled", "yes"],
    ["cgroup", cgroup.path],
    ["rules", "2"],
    ["process", String(running.pid)],
    ["connections: paired", "0"],
    ["connections: adopted", "0"],
    ["connections: active", "0"],
    ["connections: max", "131,072"],
    ["redirected: messages", "0"],
    ["redirected: bytes", "0"],
    ["programs: hooks", probeKernel().hooks],
    ["programs: unknown", "fast"],
    ["programs: accelerated", "0"],
    ["programs: learning", "0"],
  ]);
});

Deno.test("mda status exits with 1 where nothing runs", async () => {
  const pinDir = newPinDir();
  const { code, stdout, stderr } = await mda("status", "--pin-dir", pinDir, "-o", "json");
  strictEqual(code, 1);
  strictEqual(stderr, "");
  const { enabled, cgroup, rules } = JSON.parse(stdout);
  deepStrictEqual({ enabled, cgroup, rules }, { enabled: false, cgroup: "", rules: 0 });
  match((await mda("--pin-dir", pinDir, "status")).stdout, /^enabled +no\ncgroup +none\n/);
});

Deno.test("a second mda on the same pin directory is refused and told of the first", async () => {
  await using cgroup = createCgroup("run");
  await using running = await Mda.start({ cgroup, config });
  using directory = new TemporaryDirectory();
  const own = ["--config", directory.write("mda.conf", ""), "--cgroup", cgroup.path];
  const { code, stderr } = await mda("run", ...own, "--pin-dir", running.pinDir);
  strictEqual(code, 1);
  match(
    stderr,
    new RegExp(`^mda: Cannot use the pin directory .*: process ${running.pid} \\(mda\\) already uses it`),
  );
  ok((await running.status()).enabled);
});

Deno.test("mda run with a mistake in its configuration exits with 2 and starts nothing", async () => {
  using directory = new TemporaryDirectory();
  const pinDir = newPinDir();
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
  await using cgroup = createCgroup("run");
  await using running = await Mda.start({ cgroup, config });
  const status = await Deno.readTextFile(`/proc/${running.pid}/status`);
  const mb = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)![1]) / 1024;
  ok(mb("VmRSS") < 120, `VmRSS is ${mb("VmRSS")} MB`);
  ok(mb("RssShmem") < 4, `RssShmem is ${mb("RssShmem")} MB`);
});
