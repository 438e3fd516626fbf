import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { binary, Mda, newPinDir, runMda, writeConfig } from "../../lab/mda.ts";
import { run, tryRun } from "../../lab/program.ts";

const nobody = 65534;

/** What `mda run` says when it must not start: one line, status 1, and no pin directory. */
async function refusal(options: { cgroup: string; pinDir: string }): Promise<string> {
  const config = writeConfig("");
  try {
    const { code, stdout, stderr } = await runMda(
      ["run", "--config", config, "--cgroup", options.cgroup, "--pin-dir", options.pinDir],
    );
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^mda: Cannot [^\n]*\n$/);
    assert.throws(() => Deno.statSync(options.pinDir), Deno.errors.NotFound);
    return stderr;
  } finally {
    Deno.removeSync(config);
  }
}

Deno.test("a cgroup that is not there is named", async () => {
  const pinDir = newPinDir();
  assert.equal(
    await refusal({ cgroup: "/sys/fs/cgroup/nowhere", pinDir }),
    "mda: Cannot use /sys/fs/cgroup/nowhere as the cgroup: there is no such directory\n",
  );
});

Deno.test("a directory that is no cgroup2's is told where to look", async () => {
  const pinDir = newPinDir();
  assert.match(
    await refusal({ cgroup: "/tmp", pinDir }),
    /Cannot use \/tmp as the cgroup: it is not on a cgroup2 filesystem; `grep cgroup2 \/proc\/mounts` shows/,
  );
});

Deno.test("a pin directory that is not on a bpffs is told where to be", async () => {
  await using cgroup = createCgroup("refusal");
  assert.match(
    await refusal({ cgroup: cgroup.path, pinDir: `/tmp/mda-test-${Deno.pid}` }),
    /as the pin directory: \/tmp is not on a bpffs; choose a directory below \/sys\/fs\/bpf/,
  );
});

Deno.test("a user other than root is told to be root", async () => {
  await using cgroup = createCgroup("refusal");
  // The tree may be where nobody has no way to.
  const directory = await Deno.makeTempDir({ prefix: "mda-test-" });
  try {
    await run({}, ["cp", binary, `${directory}/mda`]);
    await Deno.writeTextFile(`${directory}/mda.conf`, "");
    await Deno.chmod(directory, 0o755);
    const place = { uid: nobody, gid: nobody };
    const pinDir = newPinDir();
    const options = ["--config", `${directory}/mda.conf`, "--cgroup", cgroup.path, "--pin-dir", pinDir];
    const { code, stderr } = await tryRun(place, [`${directory}/mda`, "run", ...options]);
    assert.equal(code, 1);
    assert.match(stderr, /^mda: Cannot load BPF programs as user 65534: [^\n]*; run mda as root[^\n]*\n$/);

    await using mda = await Mda.start({ cgroup, pinDir });
    const status = await tryRun(place, [`${directory}/mda`, "--pin-dir", pinDir, "status"]);
    assert.deepEqual([status.code, status.stdout], [1, ""]);
    assert.match(status.stderr, /^mda: Cannot [^\n]*\n$/);
    await mda.stop();
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
