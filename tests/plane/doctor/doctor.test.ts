/** `mda doctor` on a host in order. */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { createCgroup } from "../../lab/cgroup.ts";
import { checkNamed, doctor, examine } from "./doctor.ts";

/** What begins a colour. */
const escape = "\x1b";

const hostChecks = [
  "rights",
  "kernel",
  "BTF",
  "lockdown",
  "libbpf",
  "socket storage",
  "FIONREAD",
  "MPTCP",
  "hooks",
  "cgroup2",
  "bpffs",
  "memory",
  "TCP memory",
  "SYN cookies",
  "conntrack",
  "IPVS",
  "other processes",
  "neighbours",
  "configuration",
];
const trial = [
  "start",
  "pair",
  "redirect",
  "order",
  "hold a sender",
  "pair over IPv6",
  "close unread",
  "MPTCP listener",
  "NAT",
  "leave",
  "drain",
  "clean up",
];

Deno.test("on a host in order nothing fails, every step of the trial is OK, and each check has its words", async () => {
  await using cgroup = createCgroup("doctor");
  const report = await examine({ cgroup });
  assert.notEqual(report.verdict, "FAIL", JSON.stringify(report));
  for (const name of hostChecks) assert.equal(checkNamed(report, name).part, "host");
  const tried = report.checks.filter(({ part }) => part === "trial");
  assert.deepEqual(
    tried.map(({ name, verdict }) => `${name}: ${verdict}`),
    trial.map((name) => `${name}: OK`),
  );
  for (const { name, verdict, found, remedy } of report.checks) {
    assert.ok(found.length > 0, name);
    assert.equal(typeof remedy === "string", verdict !== "OK", name);
  }
  assert.ok(Number(checkNamed(report, "redirect").facts.messages) > 20);
});

Deno.test("the table has 80 columns at most, no colours where there is no terminal, and the sum of it all", async () => {
  await using cgroup = createCgroup("doctor");
  const { code, stdout, stderr } = await doctor({ cgroup });
  assert.deepEqual([code, stderr], [0, ""]);
  assert.ok(!stdout.includes(escape));
  for (const line of stdout.split("\n")) {
    // A word that is longer, as a path may be, cannot be broken.
    assert.ok(line.length <= 80 || !/\S\s+\S/.test(line.trim()), line);
  }
  assert.match(stdout, /^pair +OK +\S/m);
  assert.match(stdout, /^\d+ checks: \d+ OK, \d+ WARN, 0 FAIL; mda works here/m);
});

Deno.test("colours are for terminals, and NO_COLOR is respected", async () => {
  await using cgroup = createCgroup("doctor");
  const onTerminal = (env: Record<string, string>) =>
    doctor({ cgroup, args: ["--no-trial"], env, terminal: true });
  assert.ok((await onTerminal({ NO_COLOR: "" })).stdout.includes(`${escape}[32mOK`));
  assert.ok(!(await onTerminal({ NO_COLOR: "1" })).stdout.includes(`${escape}[3`));
});

Deno.test("--no-trial looks only, and YAML says the same as JSON", async () => {
  await using cgroup = createCgroup("doctor");
  const options = { cgroup, args: ["--no-trial"] };
  const report = await examine(options);
  assert.ok(report.checks.every(({ part }) => part === "host"));
  const { stdout } = await doctor({ ...options, args: [...options.args, "-o", "yaml"] });
  const names = (checks: { name: string }[]) => checks.map(({ name }) => name);
  assert.deepEqual(names(parse(stdout).checks), names(report.checks));
});
