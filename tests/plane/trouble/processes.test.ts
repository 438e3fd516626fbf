/** Too few processes and threads: the limit of a cgroup (pids.max), which threads count for as well. */
import assert from "node:assert/strict";
import { createCgroup, createProcessesCgroup } from "../../lab/cgroup.ts";
import { assertRedirected, Mda, pinsOf } from "../../lab/mda.ts";
import { run } from "../../lab/program.ts";
import { Older } from "../../lab/streams/older.ts";
import { freeAddress, scrape } from "../metrics/scrape.ts";
import { Commands } from "./commands.ts";

/** More than mda needs on any machine. */
const enough = 200;

Deno.test("with too few threads mda does not start, says what to do, and leaves nothing", async () => {
  await using cgroup = createCgroup("threads");
  await using place = createProcessesCgroup("threads");
  place.limit(2);
  await using mda = new Commands(cgroup);
  for (const command of ["run", "enable", "query"] as const) {
    const { code, stdout, stderr } = await mda.try(command, { place: { cgroup: place } });
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^Deno could not start: unable to create worker threads\.$/m);
    assert.equal(pinsOf(mda.pinDir), undefined);
  }
});

Deno.test("a daemon that has too few processes and threads is not there, and leaves nothing", async () => {
  await using cgroup = createCgroup("fork");
  await using place = createProcessesCgroup("fork");
  await using mda = new Commands(cgroup);
  const directory = Deno.makeTempDirSync({ prefix: "mda-test-" });
  try {
    const [pidFile, log, tmp] = ["pid", "log", "tmp"].map((name) => `${directory}/${name}`);
    Deno.mkdirSync(tmp);
    const args = ["--daemon", "--pid-file", pidFile, "--log-file", log];
    const said: string[] = [];
    for (let processes = 3;; processes++) {
      assert.ok(processes < enough);
      place.limit(processes);
      const { code, stderr } = await mda.try("run", {
        args,
        place: { cgroup: place },
        prefix: ["env", `TMPDIR=${tmp}`],
      });
      assert.deepEqual([...Deno.readDirSync(tmp)], []);
      if (code === 0) break;
      assert.equal(code, 1);
      said.push(stderr);
      assert.deepEqual(place.pids(), []);
      assert.equal(pinsOf(mda.pinDir), undefined);
    }
    for (const text of said) {
      assert.match(
        text,
        /^Deno could not start: unable to create worker threads\.$|^mda: Cannot start the daemon: .*; no more processes may run here, raise pids\.max .*TasksMax=.*\n$/m,
      );
    }
    assert.ok(said.some((text) => text.startsWith("mda: Cannot start the daemon: ")), said.join());
    const pid = Deno.readTextFileSync(pidFile).trim();
    assert.equal(
      await mda.succeed("disable"),
      `disabled: process ${pid} has stopped; every connection is on TCP\n`,
    );
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("a running mda that may have no more threads goes on", async () => {
  await using cgroup = createCgroup("running");
  await using place = createProcessesCgroup("running");
  const { address, url } = freeAddress();
  await using mda = await Mda.start({ cgroup, args: ["--metrics", address] });
  await run({}, [
    "sh",
    "-c",
    `for task in /proc/${mda.pid}/task/*; do echo "\${task##*/}" >"$0"; done`,
    place.procs,
  ]);
  place.limit(1);
  const growth = await mda.during(async () => {
    await using older = await Older.start({ cgroup }, { connections: 4 });
    await older.trips(50, 100);
    mda.program.kill("SIGHUP");
    await mda.program.says(/info reloaded: /);
    await scrape(url);
  });
  assertRedirected(growth, 380);
  await mda.stop();
});
