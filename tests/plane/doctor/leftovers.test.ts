/** `mda doctor` changes nothing: nothing is left of its trial, and a running mda goes on. */
import assert from "node:assert/strict";
import { findCgroup2 } from "../../../src/host/cgroup.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { findLeftovers, readHostState } from "../../lab/host_state.ts";
import { assertRedirected, binary, Mda, newPinDir, writeConfig } from "../../lab/mda.ts";
import { start } from "../../lab/program.ts";
import { Older } from "../../lab/streams/older.ts";
import { waitFor } from "../../lab/wait.ts";
import { checkNamed, examine } from "./doctor.ts";

/** What a trial makes, wherever it may be. */
function trialsOf(cgroup: string): string[] {
  return ["/sys/fs/bpf", cgroup, findCgroup2()].flatMap((directory) =>
    [...Deno.readDirSync(directory)].filter(({ name }) => name.startsWith("mda-doctor-")).map(({ name }) =>
      `${directory}/${name}`
    )
  );
}

Deno.test("nothing is left of the trial", async () => {
  await using cgroup = createCgroup("doctor");
  const before = await readHostState();
  const report = await examine({ cgroup });
  assert.equal(checkNamed(report, "clean up").verdict, "OK");
  assert.deepEqual(trialsOf(cgroup.path), []);
  assert.deepEqual(await findLeftovers(before), []);
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`${signal} in the middle of the trial ends it, and nothing is left`, async () => {
    await using cgroup = createCgroup("doctor");
    const config = writeConfig("");
    const args = ["doctor", "--cgroup", cgroup.path, "--pin-dir", newPinDir(), "--config", config];
    await using program = start({}, [binary, ...args]);
    await program.says(/^pair /m, 30_000);
    const { code } = await program.stop(signal, 20_000);
    assert.equal(code, 1);
    assert.match(program.stderr, new RegExp(`^mda: Cannot examine the host to the end: ${signal}; `));
    assert.deepEqual(trialsOf(cgroup.path), []);
    Deno.removeSync(config);
  });
}

Deno.test("what a doctor that was killed has left is removed by the next one", async () => {
  await using cgroup = createCgroup("doctor");
  const config = writeConfig("");
  const args = ["doctor", "--cgroup", cgroup.path, "--pin-dir", newPinDir(), "--config", config];
  await using program = start({}, [binary, ...args]);
  await program.says(/^pair /m, 30_000);
  await program.stop("SIGKILL");
  assert.equal(trialsOf(cgroup.path).length, 2);
  // The process that has the connections sees that nobody tells it more.
  const [, trial] = trialsOf(cgroup.path);
  await waitFor("its end", () => Deno.readTextFileSync(`${trial}/cgroup.procs`) === "");
  const report = await examine({ cgroup });
  assert.notEqual(report.verdict, "FAIL", JSON.stringify(report));
  assert.deepEqual(trialsOf(cgroup.path), []);
  Deno.removeSync(config);
});

Deno.test("two at once are not in each other's way", async () => {
  await using cgroup = createCgroup("doctor");
  for (const report of await Promise.all([examine({ cgroup }), examine({ cgroup })])) {
    const failed = report.checks.filter(({ verdict }) => verdict === "FAIL");
    assert.deepEqual(failed, []);
  }
  assert.deepEqual(trialsOf(cgroup.path), []);
});

Deno.test("what other processes of mda try out is not taken for what the trial's does", async () => {
  await using cgroup = createCgroup("doctor");
  let isOver = false;
  const trying = async () => {
    while (!isOver) await examine({ cgroup, args: ["--no-trial"] });
  };
  const [reports] = await Promise.all([
    (async () => {
      const all = [];
      try {
        for (let i = 0; i < 3; i++) all.push(await examine({ cgroup }));
      } finally {
        isOver = true;
      }
      return all;
    })(),
    trying(),
    trying(),
  ]);
  for (const { checks } of reports) {
    assert.deepEqual(checks.filter(({ verdict }) => verdict === "FAIL"), []);
  }
});

Deno.test("a running mda goes on, and so do its connections", async () => {
  await using cgroup = createCgroup("doctor");
  await using mda = await Mda.start({ cgroup });
  await using older = await Older.start({ cgroup });
  await older.trips(10, 100);
  const growth = await mda.during(async () => {
    const report = await examine({ cgroup, pinDir: mda.pinDir });
    assert.notEqual(report.verdict, "FAIL", JSON.stringify(report));
    assert.match(checkNamed(report, "bpffs").found, new RegExp(`process ${mda.pid} \\(mda\\) has it$`));
    await older.trips(50, 100);
  });
  assertRedirected(growth, 950);
  assert.equal((await mda.status()).connections.active, 10);
  await mda.stop();
});
