/** `mda doctor --bundle`: what is in it, and what is not. */
import assert from "node:assert/strict";
import { parseTarGzip } from "nanotar";
import { Redactor } from "../../../src/doctor/bundle/redact.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { TemporaryDirectory } from "../cli/mda.ts";
import { OtherOwner } from "../../lab/neighbours/neighbour.ts";
import { doctor, type DoctorOptions } from "./doctor.ts";

const config = `# for shop.example.com
chain --ip 10.244.0.0/16 -j ACCEPT   # the pods
chain --ip fd00:1234::5 --uid-owner 1337 -j RETURN
chain --ip 127.0.0.1
`;

async function bundle(
  directory: TemporaryDirectory,
  options: DoctorOptions,
): Promise<{ files: Record<string, string>; stderr: string }> {
  const path = `${directory.path}/${crypto.randomUUID()}.tar.gz`;
  const args = ["--no-trial", "--bundle", path, ...options.args ?? []];
  const { code, stderr } = await doctor({ config, ...options, args });
  assert.equal(code, 0, stderr);
  assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
  const parts = await parseTarGzip(Deno.readFileSync(path));
  return { files: Object.fromEntries(parts.map(({ name, text }) => [name, text])), stderr };
}

Deno.test("a bundle has all that a report needs, and no address, host, program or cgroup by its name", async () => {
  using directory = new TemporaryDirectory();
  await using cgroup = createCgroup("secret-pod");
  await using other = await OtherOwner.start({ cgroup, kind: "messages" });
  const { files, stderr } = await bundle(directory, { cgroup });
  assert.match(stderr, /^mda: wrote \S+\.tar\.gz; look it through before you send it\n$/);
  assert.deepEqual(
    Object.keys(files),
    ["README.txt", "doctor.json", "status.json", "version.txt", "kernel.txt", "dmesg.txt", "mda.conf"].map((
      name,
    ) => `mda-doctor/${name}`),
  );
  const all = Object.values(files).join("\n");
  for (const secret of ["10.244", "fd00", "shop", "the pods", "secret-pod"]) {
    assert.ok(!all.includes(secret), secret);
  }
  assert.doesNotMatch(all, new RegExp(`(?<![\\w.-])${RegExp.escape(Deno.hostname())}(?![\\w-])`));
  assert.match(
    files["mda-doctor/mda.conf"],
    /^#\nchain --ip ip4-[0-9a-f]{8}\/16 -j ACCEPT {3}#\nchain --ip ip6-[0-9a-f]{8} --uid-owner 1337 -j RETURN\nchain --ip 127\.0\.0\.1$/m,
  );
  const { checks } = JSON.parse(files["mda-doctor/doctor.json"]);
  const neighbours = JSON.stringify(checks.find(({ name }: { name: string }) => name === "neighbours"));
  assert.match(neighbours, /other_tracker/);
  assert.match(neighbours, new RegExp(`process ${other.pid} \\(program-[0-9a-f]{8}\\)`));
  assert.match(neighbours, /\/cgroup-[0-9a-f]{8}/);
  assert.equal(JSON.parse(files["mda-doctor/status.json"]).enabled, false);
  assert.match(files["mda-doctor/version.txt"], /^mda \d/);
  assert.match(files["mda-doctor/kernel.txt"], /^Linux version /);
});

Deno.test("another bundle has other words for the same, and --no-redact the names themselves", async () => {
  using directory = new TemporaryDirectory();
  const rules = ({ files }: { files: Record<string, string> }) => files["mda-doctor/mda.conf"];
  const [one, two] = [rules(await bundle(directory, {})), rules(await bundle(directory, {}))];
  assert.notEqual(one, two);
  const plain = await bundle(directory, { args: ["--no-redact"] });
  assert.equal(rules(plain), config);
});

Deno.test("a bundle replaces no file, and says at once where it cannot be written", async () => {
  using directory = new TemporaryDirectory();
  const file = directory.write("there", "mine");
  for (const path of [file, "/nowhere/bundle.tar.gz"]) {
    const { code, stdout, stderr } = await doctor({ args: ["--bundle", path] });
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^mda: Cannot write the bundle /);
  }
  assert.equal(Deno.readTextFileSync(file), "mine");
});

Deno.test("the same address, name and cgroup is replaced by the same word, however it is written", () => {
  const redactor = new Redactor(["/sys/fs/cgroup"]);
  redactor.learn("program", "node");
  redactor.learn("host", "box");
  const word = (text: string) => redactor.redact(text);
  assert.equal(word("2001:db8:0:0::1"), word("2001:DB8::1"));
  assert.match(word("[2001:db8::1]:443, 192.0.2.7:80"), /^\[ip6-\w{8}\]:443, ip4-\w{8}:80$/);
  assert.match(
    word("node[12] node-exporter box.lan mybox"),
    /^program-\w{8}\[12\] node-exporter host-\w{8}\.lan mybox$/,
  );
  assert.equal(
    word("127.0.0.1 ::1 0.0.0.0 at 22:04:09, Linux 6.18.44"),
    "127.0.0.1 ::1 0.0.0.0 at 22:04:09, Linux 6.18.44",
  );
  const pod = "pod0f1e2d3c_aaaa_bbbb_cccc_0123456789ab";
  assert.match(
    word(`/sys/fs/cgroup/kubepods.slice/kubepods-${pod}.slice/cri-containerd-${"ab".repeat(32)}.scope`),
    /^\/sys\/fs\/cgroup\/kubepods\.slice\/cgroup-\w{8}\.slice\/cgroup-\w{8}\.scope$/,
  );
  assert.match(
    word(`container ${"ab".repeat(32)} at 02:42:ac:11:00:02`),
    /^container id-\w{8} at mac-\w{8}$/,
  );
  assert.equal(word("RSP: 0018:ffffc90000a3fd28"), "RSP: 0018:POINTER");
});
