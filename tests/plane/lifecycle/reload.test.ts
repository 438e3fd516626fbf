import assert from "node:assert/strict";
import { BpfMap } from "../../../src/libbpf/map.ts";
import { askForReload } from "../../../src/state/requests.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { assertRedirected, Mda, newPinDir, runMda, statusOf, writeConfig } from "../../lab/mda.ts";
import { run } from "../../lab/program.ts";
import { freePort, startRedis } from "../../lab/servers.ts";
import { Older } from "../../lab/streams/older.ts";
import { runProgram } from "../../lab/streams/programs.ts";
import { sleep, waitFor } from "../../lab/wait.ts";

const bad = "chain --port 80\nchain --prot 81\n";
const none = "chain -j RETURN\n";

function write(mda: Mda, config: string): void {
  Deno.writeTextFileSync(mda.configFile, config);
}

async function reload(pinDir: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runMda(["--pin-dir", pinDir, "reload", ...args]);
  assert.equal(code, 0, stderr);
  return stdout;
}

Deno.test("SIGHUP puts new rules in force for new connections, and those that are there stay", async () => {
  await using cgroup = createCgroup("sighup");
  await using mda = await Mda.start({ cgroup });
  await using older = await Older.start({ cgroup });
  write(mda, none);
  mda.program.kill("SIGHUP");
  await mda.program.says(/reloaded: 1 rule$/m);
  assertRedirected(await mda.during(() => older.trips(10, 100)), 190);
  const growth = await mda.during(async () => {
    await using _later = await Older.start({ cgroup });
  });
  assert.deepEqual([growth.paired, growth.refused.return_rule], [0, 10]);
  assert.equal((await mda.status()).rules, 1);
  await mda.stop();
});

Deno.test("mda reload tells a running mda, and returns when the rules hold", async () => {
  await using cgroup = createCgroup("reload");
  await using mda = await Mda.start({ cgroup });
  write(mda, "chain -p 1\nchain -p 2\n");
  assert.equal(await reload(mda.pinDir), "reloaded: 2 rules\n");
  assert.equal((await mda.status()).rules, 2);
  await mda.stop();
});

Deno.test("a mistake in the file changes nothing, is said by mda reload, and logged at SIGHUP", async () => {
  await using cgroup = createCgroup("bad");
  await using mda = await Mda.start({ cgroup, config: "chain -p 1\n" });
  const before = await mda.status();
  write(mda, bad);
  const { code, stdout, stderr } = await runMda(["--pin-dir", mda.pinDir, "reload"]);
  assert.deepEqual([code, stdout], [2, ""]);
  assert.match(stderr, new RegExp(`^${mda.configFile}:2:7: unknown option --prot: did you mean --port`));
  mda.program.kill("SIGHUP");
  await mda.program.says(/error \S+:2:7: unknown option --prot/);
  await mda.program.says(/not reloaded: the rules that hold stay$/m);
  assert.deepEqual(await mda.status(), before);
  write(mda, "chain -p 1\nchain -p 2\n");
  mda.program.kill("SIGHUP");
  await mda.program.says(/reloaded: 2 rules$/m);
  await mda.stop();
});

Deno.test("a reload that lets more in adopts the connections that are there", async () => {
  await using cgroup = createCgroup("more");
  await using mda = await Mda.start({ cgroup, config: none });
  await using older = await Older.start({ cgroup });
  assert.equal((await mda.during(() => older.trips(5, 100))).messages, 0);
  write(mda, "chain -i 127.0.0.0/8\n");
  await reload(mda.pinDir);
  await waitFor("adoption", async () => (await mda.status()).connections.active === 10);
  assertRedirected(await mda.during(() => older.trips(10, 100)), 190);
  await mda.stop();
});

Deno.test("mda reload --reapply sends connections to TCP that the new rules do not let in", async () => {
  await using cgroup = createCgroup("reapply");
  await using mda = await Mda.start({ cgroup });
  await using older = await Older.start({ cgroup });
  await older.trips(1, 100);
  write(mda, none);
  await reload(mda.pinDir, "--reapply");
  await waitFor("the sockets to leave", async () => (await mda.status()).connections.active === 0);
  assert.equal((await mda.during(() => older.trips(10, 100))).messages, 0);
  assert.ok((await mda.status()).left.by_rule >= 10);
  write(mda, "");
  await reload(mda.pinDir, "--reapply");
  await waitFor("adoption", async () => (await mda.status()).connections.active === 10);
  assertRedirected(await mda.during(() => older.trips(10, 100)), 190);
  await mda.stop();
});

Deno.test("streams keep their order while rules send them to TCP and back all the time", async () => {
  await using cgroup = createCgroup("to-and-fro");
  await using mda = await Mda.start({ cgroup });
  // All of it gives way to mda, which then has time for more reloads.
  const place = { cgroup, nice: 19 };
  await using older = await Older.start(place, { connections: 50, cpus: [0, 1] });
  let ended = false;
  const streams = Promise.all([
    runProgram(place, "stutter", 4, 8, 7000, 1 + Math.floor(Math.random() * 1e6), 4096, "poll"),
    runProgram(place, "stutter", 4, 8, 7000, 1 + Math.floor(Math.random() * 1e6), 4096, "edges"),
  ]).finally(() => (ended = true));
  const trips = (async () => {
    while (!ended) await older.trips(20, 2000);
  })();
  let reloads = 0;
  while (!ended) {
    write(mda, reloads % 2 === 0 ? none : "");
    await reload(mda.pinDir, "--reapply");
    reloads++;
  }
  await Promise.all([streams, trips]);
  const { left, connections, redirected } = await mda.status();
  const seen = JSON.stringify({ reloads, left, connections, redirected });
  assert.ok(reloads >= 4 && left.by_rule > 100 && connections.adopted > 100, seen);
  await mda.stop();
});

Deno.test("no connection is ever decided by a mixture of two rule sets", async () => {
  await using cgroup = createCgroup("mixture");
  // Each set refuses every connection by its last rules alone, as does neither by the rest.
  const sets = [1, 2].map((set) =>
    Array.from({ length: 254 }, (_, rule) => `chain -p ${set * 1000 + rule} -u ${rule} -j RETURN\n`).join(
      "",
    ) +
    "chain -i 127.0.0.0/8 -p 1-32000 -j RETURN\nchain -i 127.0.0.0/8 -p 32001-65535 -j RETURN\n"
  );
  await using mda = await Mda.start({ cgroup, config: sets[0], args: ["--no-adopt"] });
  let ended = false;
  const connecting = runProgram({ cgroup }, "order", 4, "ordinary", 20_000, 20).finally(() => (ended = true));
  let reloads = 0;
  while (!ended) {
    write(mda, sets[++reloads % 2]!);
    mda.program.kill("SIGHUP");
    await waitFor("a reload", () => mda.program.stderr.split("reloaded:").length > reloads, { everyMs: 2 });
  }
  await connecting;
  const { connections, refused } = await mda.status();
  assert.ok(reloads > 10, `${reloads} reloads`);
  assert.deepEqual([connections.paired, refused.return_rule], [0, 20_000]);
  await mda.stop();
});

Deno.test("--watch follows writes, renames and the symbolic links of a ConfigMap", async () => {
  await using cgroup = createCgroup("watch");
  const directory = Deno.makeTempDirSync({ prefix: "mda-test-" });
  const place = (version: string, config: string) => {
    Deno.mkdirSync(`${directory}/..${version}`);
    Deno.writeTextFileSync(`${directory}/..${version}/mda.conf`, config, { mode: 0o644 });
    Deno.symlinkSync(`..${version}`, `${directory}/..data_tmp`);
    Deno.renameSync(`${directory}/..data_tmp`, `${directory}/..data`);
  };
  place("1", "chain -p 1\n");
  Deno.symlinkSync("..data/mda.conf", `${directory}/mda.conf`);
  const config = `${directory}/mda.conf`;
  await using mda = await Mda.start({ cgroup, args: ["--watch", "--config", config] });
  try {
    assert.equal((await mda.status()).rules, 1);
    place("2", "chain -p 1\nchain -p 2\n");
    Deno.removeSync(`${directory}/..1`, { recursive: true });
    await mda.program.says(/reloaded: 2 rules$/m);
    Deno.writeTextFileSync(`${directory}/..2/mda.conf`, "chain -p 1\nchain -p 2\nchain -p 3\n");
    await mda.program.says(/reloaded: 3 rules$/m);
    place("3", bad);
    await mda.program.says(/not reloaded/);
    assert.equal((await mda.status()).rules, 3);
    place("4", "");
    await mda.program.says(/reloaded: 0 rules$/m);
    // Gone for a moment, as some editors have it, is no mistake.
    Deno.removeSync(config);
    await sleep(300);
    Deno.writeTextFileSync(config, "chain -p 7\n", { mode: 0o644 });
    await mda.program.says(/reloaded: 1 rule$/m);
    await mda.stop();
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("mda reload replaces the rules of what runs without a process, and says where nothing is", async () => {
  await using cgroup = createCgroup("left-alone");
  const config = writeConfig("chain -p 1\n");
  const pinDir = newPinDir();
  const mda = (...args: string[]) => runMda(["--pin-dir", pinDir, ...args]);
  try {
    const nothing = await mda("reload");
    assert.equal(nothing.code, 1);
    assert.match(
      nothing.stderr,
      /^mda: Cannot reload: nothing is enabled at \S+; mda run or mda enable starts it\n$/,
    );
    assert.equal((await mda("enable", "--config", config, "--cgroup", cgroup.path)).code, 0);
    Deno.writeTextFileSync(config, "");
    assert.equal(await reload(pinDir), "reloaded: no rules, every local connection\n");
    const port = freePort();
    await using _redis = await startRedis({ cgroup }, { port });
    await run({ cgroup }, ["redis-benchmark", "-p", `${port}`, "-q", "-t", "get", "-c", "10", "-n", "5000"]);
    assert.ok((await statusOf(pinDir)).status.redirected.messages > 9000);
    Deno.writeTextFileSync(config, bad);
    assert.equal((await mda("reload")).code, 2);
    assert.equal((await statusOf(pinDir)).status.rules, 0);
    const other = writeConfig(none);
    assert.equal(await reload(pinDir, "--config", other), "reloaded: 1 rule\n");
    Deno.removeSync(other);
  } finally {
    assert.equal((await mda("disable")).code, 0);
    Deno.removeSync(config);
  }
});

Deno.test("commands that ask for a reload at the same time each get their answer, and leave nothing of it", async () => {
  await using cgroup = createCgroup("at-once");
  await using mda = await Mda.start({ cgroup });
  const asking = ["chain -p 1\n", bad, "chain -p 1\nchain -p 2\n"];
  for (const config of asking) {
    write(mda, config);
    const codes = await Promise.all(
      Array.from(
        { length: 4 },
        async (_, index) =>
          (await runMda(["--pin-dir", mda.pinDir, "reload", ...index % 2 ? ["--reapply"] : []])).code,
      ),
    );
    assert.deepEqual(codes, Array(4).fill(config === bad ? 2 : 0));
  }
  assert.equal((await mda.status()).rules, 2);
  using requests = BpfMap.openPinned(`${mda.pinDir}/reload_requests`)!;
  assert.deepEqual([...requests.keys()], []);
  await mda.stop();
});

Deno.test("a request to reload that nobody answered is forgotten at the next start", async () => {
  await using cgroup = createCgroup("unanswered");
  await using mda = await Mda.start({ cgroup });
  using requests = BpfMap.openPinned(`${mda.pinDir}/reload_requests`)!;
  askForReload(requests, true);
  assert.equal([...requests.keys()].length, 1);
  await mda.crash();
  await using next = await Mda.start({ cgroup, pinDir: mda.pinDir });
  assert.deepEqual([...requests.keys()], []);
  await next.stop();
});
