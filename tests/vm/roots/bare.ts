/** dist/mda where nothing else is installed: in the roots that make.sh makes, with the kernel of this host. */
import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { binary, difference, newPinDir, redirectedShare, removePins } from "../../lab/mda.ts";
import type { Status } from "../../../src/views/status.ts";
import { type Output, start, tryRun } from "../../lab/program.ts";
import { runProgram } from "../../lab/streams/programs.ts";
import { root as tree } from "../../plane/cli/mda.ts";

const releases = { bookworm: "12", trixie: "13" };

const sample = `${tree}packaging/sample.conf`;

/** A command line that runs in a root, with the host's /proc and /sys, and mda as /mda; $1 is the root. */
function inRoot(release: string, setup: string, argv: string[]): string[] {
  const script = `root=$1 mda=$2 sample=$3 as= clean=; shift 3
    touch "$root/mda" "$root/mda.conf"
    ${setup}
    mount --bind "$mda" "$root/mda" && mount --bind "$sample" "$root/mda.conf"
    mount --rbind /proc "$root/proc" && mount --rbind /sys "$root/sys" && mount --rbind /dev "$root/dev"
    exec chroot $as "$root" $clean "$@"`;
  return [
    "unshare",
    "--mount",
    "sh",
    "-ec",
    script,
    "sh",
    `${tree}build/roots/${release}`,
    binary,
    sample,
    ...argv,
  ];
}

/** As nobody, without a variable, on a disk that cannot be written. */
const poorly = `mount --bind "$root" "$root"
    mount -o remount,bind,ro "$root"
    as="--userspec=65534:65534 --groups=" clean="env -i"`;

async function run(release: string, setup: string, argv: string[]): Promise<Output> {
  return await tryRun({}, inRoot(release, setup, argv), { timeoutMs: 60_000 });
}

for (const [release, version] of Object.entries(releases)) {
  Deno.test(`a bare Debian ${version} has no libbpf, and mda takes the one that it carries`, async () => {
    const { code, stdout, stderr } = await run(release, "", ["/mda", "--version"]);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^libbpf +1\.\d+ \(carried\)$/m);
  });

  const unprivileged = [
    "--help",
    "--licenses",
    "check --config /mda.conf",
    "check --config /mda.conf -o yaml",
    "completions bash",
  ];
  for (const command of unprivileged) {
    Deno.test(`nobody can run mda ${command} on a bare, read-only Debian ${version}`, async () => {
      const { code, stdout, stderr } = await run(release, poorly, ["/mda", ...command.split(" ")]);
      assert.deepEqual([code, stderr], [0, ""]);
      assert.ok(stdout.length > 100, stdout);
    });
  }

  for (const command of ["run", "enable", "disable", "reload"]) {
    Deno.test(`nobody cannot run mda ${command} on a bare Debian ${version}`, async () => {
      const config = command === "disable" ? [] : ["--config", "/mda.conf"];
      const { code, stdout, stderr } = await run(release, poorly, ["/mda", command, ...config]);
      assert.deepEqual([code, stdout], [1, ""], stderr);
      assert.match(stderr, /^mda: [^\n]+\n$/);
    });
  }

  Deno.test(`mda run accelerates on a bare Debian ${version}, and leaves nothing`, async () => {
    await using cgroup = createCgroup("root");
    const pinDir = newPinDir();
    const status = async (): Promise<Status> =>
      JSON.parse((await run(release, "", ["/mda", "status", "-o", "json", "--pin-dir", pinDir])).stdout);
    try {
      const where = ["--cgroup", cgroup.path, "--pin-dir", pinDir, "--unknown", "fast"];
      await using mda = start({}, inRoot(release, "", ["/mda", "run", "--config", "/mda.conf", ...where]));
      await mda.says(/ready: /, 30_000);
      const before = await status();
      await runProgram({ cgroup }, "order", 4, "ordinary", 200, 20);
      const growth = difference(before, await status());
      assert.equal(growth.paired, 200);
      assert.ok(redirectedShare(growth) > 0.5, JSON.stringify(growth));
      assert.equal((await mda.stop()).code, 0);
      assert.match(mda.stderr, /stopped: every connection is on TCP\n$/);
    } finally {
      removePins(pinDir);
    }
  });
}
