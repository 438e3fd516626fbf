/** As many rules and values as a file may have, and one more. */
import assert from "node:assert/strict";
import { parseRules } from "../../../src/config/parse.ts";
import { RULES_MAX, VALUES_MAX } from "../../../src/rules/rules.ts";
import { type Cgroup, createCgroup } from "../../lab/cgroup.ts";
import { Mda, newPinDir, runMda, writeConfig } from "../../lab/mda.ts";
import { createLocalNetns, type Ends, within } from "./connections.ts";
import { inside, observe } from "./observe.ts";

const valuesPerRule = VALUES_MAX / RULES_MAX;
const all = Array.from({ length: RULES_MAX }, (_, rule) => rule);

/** What the rule of that number asks for, and none of the others. */
const addressOf = (rule: number) => rule % 4 < 2 ? `10.0.${rule}.1` : `fd00::${rule.toString(16)}:1`;
const portOf = (rule: number) => 20_000 + rule;
const uidOf = (rule: number) => 100_000 + rule;
const gidOf = (rule: number) => 200_000 + rule;

/** All four kinds of option in each rule; every other one is a RETURN rule. */
const full = all.map((rule) => {
  const option = (option: string, count: number, value: (i: number) => unknown) =>
    Array.from({ length: count }, (_, i) => `${option} ${value(i)}`).join(" ");
  const count = valuesPerRule / 4;
  return `chain ${option("-i", count, (i) => i ? `172.16.${rule}.${i}` : addressOf(rule))} ` +
    `${option("-p", count, (i) => i ? `${1000 * i}-${1000 * i + rule}` : portOf(rule))} ` +
    `${option("-u", count, (i) => i ? 1000 * i + rule : uidOf(rule))} ` +
    `${option("-g", count, (i) => i ? 1000 * i + rule : gidOf(rule))} ` +
    `-j ${rule % 2 ? "RETURN" : "ACCEPT"}\n`;
}).join("");

Deno.test("256 rules with 4096 values decide, each for itself", async () => {
  await using cgroup = createCgroup("limits");
  await using netns = await createLocalNetns("limits");
  await using mda = await Mda.start({ cgroup, config: full });
  const ends = (rule: number): Ends => {
    const address = addressOf(rule);
    return within(netns, {
      client: { address, gid: gidOf(rule) },
      server: { address, port: portOf(rule), uid: uidOf(rule) },
    });
  };
  const rules = parseRules("rules.conf", full);
  const { expected } = inside(cgroup, () => observe(mda.pinDir, rules, all.map(ends)));
  assert.deepEqual(expected.map(({ rule }) => rule?.index), all);
  assert.deepEqual((await mda.status()).decided, all.map(() => 1));
  await mda.stop();
});

/** Ranges of ports that split into 30,000 prefixes. */
const ranges = all.map((rule) => {
  const range = (i: number) => {
    const value = valuesPerRule * rule + i;
    return `-p ${1 + 8 * value}-${65_534 - 8 * value - rule % 3}`;
  };
  return `chain ${Array.from({ length: valuesPerRule }, (_, i) => range(i)).join(" ")}\n`;
}).join("");

for (const [name, config] of Object.entries({ "of all kinds": full, "that are ranges of ports": ranges })) {
  Deno.test(`4096 values ${name} take less than half a second more to start with than none`, async () => {
    await using cgroup = createCgroup("limits");
    const costs = [await cpuMsToReady(cgroup, ""), await cpuMsToReady(cgroup, config)];

    assert.ok(costs[1] - costs[0] < 500, `${costs} ms`);
  });
}

/** Time on the CPU until ready: what others do on the machine counts less than in real time. */
async function cpuMsToReady(cgroup: Cgroup, config: string): Promise<number> {
  await using mda = await Mda.start({ cgroup, config });
  const fields = Deno.readTextFileSync(`/proc/${mda.pid}/stat`).split(") ")[1].split(" ");
  await mda.stop();
  // utime and stime, in hundredths of a second: proc_pid_stat(5) counts from 1, and pid and comm are gone.
  return 10 * (Number(fields[14 - 3]) + Number(fields[15 - 3]));
}

const tooMuch = {
  "a rule too many": {
    config: "chain -p 80\n".repeat(RULES_MAX + 1),
    mistake: "257:1: too many rules: the file has 257, the limit is 256",
  },
  "a value too many": {
    config: `${`chain${" -p 80".repeat(valuesPerRule)}\n`.repeat(RULES_MAX - 1)}chain${
      " -p 80".repeat(valuesPerRule + 1)
    }\n`,
    mistake: `256:${7 + 6 * valuesPerRule + 3}: too many values: the file has 4097, the limit is 4096`,
  },
};

for (const [name, { config, mistake }] of Object.entries(tooMuch)) {
  Deno.test(`a file with ${name} is refused with the limit's name, and what runs goes on`, async () => {
    await using cgroup = createCgroup("limits");
    await using netns = await createLocalNetns("limits");
    const text = "chain -p 8080\n";
    await using mda = await Mda.start({ cgroup, config: text });
    const file = writeConfig(config);
    try {
      const own = ["--pin-dir", mda.pinDir, "run", "--cgroup", cgroup.path, "--config", file];
      const others = ["--pin-dir", newPinDir(), "run", "--cgroup", cgroup.path, "--config", file];
      for (const args of [own, others, ["check", "--config", file]]) {
        const { code, stderr } = await runMda(args);
        assert.equal(code, 2, stderr);
        assert.ok(stderr.includes(`${file}:${mistake}`), stderr);
      }
    } finally {
      Deno.removeSync(file);
    }
    assert.ok(mda.program.running);
    const ends = (port: number): Ends =>
      within(netns, { client: { address: "127.0.0.1" }, server: { address: "127.0.0.1", port } });
    const rules = parseRules("rules.conf", text);
    const { accelerated } = inside(cgroup, () => observe(mda.pinDir, rules, [ends(8080), ends(80)]));
    assert.deepEqual(accelerated, [true, false]);
    assert.deepEqual((await mda.status()).decided, [1]);
    await mda.stop();
  });
}
