/** What `mda doctor` says of hosts that have something wrong with them. */
import assert from "node:assert/strict";
import { hasMptcpFault } from "../../../src/checks/faults.ts";
import { sourceVersion } from "../../../src/host/release.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { OtherOwner } from "../../lab/neighbours/neighbour.ts";
import { createNetns } from "../../lab/netns.ts";
import { assertComplains, checkNamed, doctor, examine } from "./doctor.ts";

Deno.test("another user than root gets one line, and nothing is done", async () => {
  const { code, stdout, stderr } = await doctor({ place: { uid: 65534, gid: 65534 } });
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(
    stderr,
    /^mda: Cannot load BPF programs as user 65534: [^\n]*; run mda as root or with them\n$/,
  );
});

Deno.test("root without a capability is told which, and what could not be looked at", async () => {
  const report = await examine({ without: ["bpf", "sys_admin"] });
  assertComplains(report, "rights", "FAIL", /^Cannot load BPF programs: root has no CAP_BPF here$/);
  assertComplains(report, "not checked", "WARN", /^kernel, .*hooks/);
  assertComplains(report, "trial", "WARN", /^not tried: rights/);
  assert.equal(checkNamed(report, "cgroup2").verdict, "OK");
});

Deno.test("a cgroup that is not there, or none at all, fails", async () => {
  const args = ["--cgroup", "/nowhere"];
  const report = await examine({ args });
  const check = checkNamed(report, "cgroup2");
  assert.equal(check.found, "Cannot use /nowhere as the cgroup: there is no such directory");
  assertComplains(report, "trial", "WARN", /^not tried: cgroup2/);
  const without = await examine({
    setup: "for at in $(awk '$3 == \"cgroup2\" { print $2 }' /proc/mounts); do umount $at; done",
  });
  assertComplains(without, "cgroup2", "FAIL", /^Cannot find a cgroup2 mount: /);
});

Deno.test("a pin directory on another filesystem fails, and a bpffs that could be mounted is not", async () => {
  const elsewhere = await examine({ pinDir: "/tmp/mda-doctor-pins" });
  assertComplains(elsewhere, "bpffs", "FAIL", /^Cannot use \S+ as the pin directory: \S+ is not on a bpffs$/);
  assertComplains(elsewhere, "trial", "WARN", /^not tried: bpffs/);
  const report = await examine({
    setup: "umount /sys/fs/bpf; cat /proc/mounts >/dev/null",
    pinDir: "/sys/fs/bpf/mda",
  });
  assertComplains(report, "bpffs", "WARN", /^no bpffs is mounted at \/sys\/fs\/bpf; /);
});

Deno.test("a kernel without BTF, and one that is locked down, fail", async () => {
  const btf = await examine({ setup: "mount -t tmpfs tmpfs /sys/kernel/btf", args: ["--no-trial"] });
  assertComplains(btf, "BTF", "FAIL", /vmlinux is missing$/);
  const lockdown = await examine({
    setup: "mount -t tmpfs tmpfs /sys/kernel/security && " +
      "echo 'none integrity [confidentiality]' >/sys/kernel/security/lockdown",
    args: ["--no-trial"],
  });
  assertComplains(lockdown, "lockdown", "FAIL", /locked down for confidentiality/);
});

Deno.test("settings of a network namespace that are in the way are said, each with the command that mends it", async () => {
  await using cgroup = createCgroup("doctor");
  await using netns = await createNetns("doctor");
  await netns.sysctl("net.core.optmem_max", 64);
  await netns.sysctl("net.ipv4.tcp_syncookies", 2);
  await netns.sysctl("net.netfilter.nf_conntrack_tcp_timeout_established", 5);
  const report = await examine({ cgroup, place: { netns } });
  assertComplains(report, "socket storage", "FAIL", /^Cannot create a socket storage .*optmem_max is 64/);
  assertComplains(report, "start", "FAIL", /^Cannot create a socket storage/);
  assertComplains(report, "SYN cookies", "WARN", /^every handshake uses them/);
  assertComplains(report, "conntrack", "WARN", /^forgets an idle connection after 5 s/);
  assert.match(checkNamed(report, "socket storage").remedy!, /^sysctl -w net\.core\.optmem_max=/);
});

Deno.test("another sockops program is named, and the trial shows that mda works beside it", async () => {
  await using cgroup = createCgroup("doctor");
  await using other = await OtherOwner.start({ cgroup, kind: "messages" });
  const report = await examine({ cgroup });
  assertComplains(report, "neighbours", "WARN", /^\d+ BPF programs? of others/);
  const { details } = checkNamed(report, "neighbours");
  const line = details.find((detail) => detail.includes(`(id ${other.sockopsId})`));
  assert.match(
    line!,
    new RegExp(`^sockops program other_tracker .* on ${cgroup.path}, of process ${other.pid} `),
  );
  // The nearer cgroup's program is called first.
  assert.equal(checkNamed(report, "pair").verdict, "OK");
});

Deno.test("where no cgroup can be made, as in a container that has the host's read-only, the trial is left out", async () => {
  const setup =
    "for at in $(awk '$3 == \"cgroup2\" { print $2 }' /proc/mounts); do mount -o remount,bind,ro $at; done";
  const report = await examine({ setup });
  assertComplains(report, "trial", "WARN", /^not tried: no cgroup can be made \(/);
  assert.notEqual(report.verdict, "FAIL");
});

for (
  const [where, less] of Object.entries({
    "in a PID namespace of its own": { ownPids: true },
    "without CAP_SYS_PTRACE": { without: ["sys_ptrace"] },
  })
) {
  Deno.test(`${where} it says what cannot be reached, and what that costs`, async () => {
    await using cgroup = createCgroup("doctor");
    const report = await examine({ cgroup, ...less });
    assertComplains(report, "other processes", "WARN", /PID namespace|CAP_SYS_PTRACE/);
    assertComplains(report, "redirect", "WARN", /passed untended/);
    assert.equal(checkNamed(report, "drain").verdict, "OK");
  });
}

Deno.test("a configuration with mistakes fails, and one that is not there is said", async () => {
  const args = ["--no-trial"];
  assertFails(await examine({ args, config: "chain --ip here\n" }));
  const report = await examine({ args: [...args, "--config", "/nowhere/mda.conf"] });
  assertComplains(report, "configuration", "WARN", /^\/nowhere\/mda\.conf is not there/);
});

function assertFails(report: Awaited<ReturnType<typeof examine>>): void {
  const { verdict, found } = checkNamed(report, "configuration");
  assert.equal(verdict, "FAIL");
  assert.match(found, /:1:\d+: /);
}

Deno.test("kernels with MPTCP's fault are known by the version of their source", () => {
  const has = (release: string, version = "") => hasMptcpFault(sourceVersion(release, version));
  for (const release of ["5.10.246", "6.1.100-x", "6.12.59", "6.16.12", "6.17.9"]) {
    assert.ok(has(release), release);
  }
  for (const release of ["5.10.247", "6.1.159", "6.12.60", "6.17.10", "6.18.0", "7.2.13"]) {
    assert.ok(!has(release), release);
  }
  assert.ok(has("6.1.0-41-amd64", "Linux version 6.1.0-41-amd64 (x) #1 SMP Debian 6.1.158-1 (2025-11-09)"));
  assert.ok(!has("6.1.0-42-amd64", "Linux version 6.1.0-42-amd64 (x) #1 SMP Debian 6.1.159-1 (2025-12-30)"));
});
