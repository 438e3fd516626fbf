/** Every option of a rule, alone and with others, in the configuration that a mda is started with. */
import assert from "node:assert/strict";
import { parseRules } from "../../../src/config/parse.ts";
import { readStatus } from "../../../src/views/status.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { Mda } from "../../lab/mda.ts";
import { createLocalNetns, type Ends, within } from "./connections.ts";
import { inside, observe } from "./observe.ts";

const application = { uid: 1000, gid: 100 };
const sidecar = { uid: 1337, gid: 1338 };

const connections = {
  ipv4: {
    client: { address: "10.1.0.1", port: 40000, ...application },
    server: { address: "10.2.0.1", port: 8080, ...sidecar },
  },
  ipv6: {
    client: { address: "fd00:1::1", port: 40000, ...application },
    server: { address: "fd00:2::1", port: 8080, ...sidecar },
  },
  /** Two IPv6 sockets that talk IPv4. */
  mapped: {
    client: { address: "::ffff:10.1.0.1", port: 40001, ...application },
    server: { address: "::", port: 8080, ...sidecar },
    to: { address: "::ffff:10.2.0.2" },
  },
  /** An IPv4 client of a server that serves both families. */
  both: {
    client: { address: "10.1.0.2", port: 40002, ...application },
    server: { address: "::", port: 8081, ...sidecar },
    to: { address: "10.2.0.3" },
  },
  loopback: {
    client: { address: "127.0.0.1", port: 40003, uid: 0, gid: 0 },
    server: { address: "127.0.0.2", port: 15006, uid: 0, gid: 0 },
  },
  /** Ids as a user namespace maps them. */
  high: {
    client: { address: "192.168.1.1", port: 65535, uid: 0xffff_fffe, gid: 0xffff_fffe },
    server: { address: "192.168.1.255", port: 1, uid: 0x8000_0000, gid: 0x8000_0000 },
  },
} satisfies Record<string, Ends>;

type Name = keyof typeof connections;
type Decided = `ACCEPT ${number}` | `RETURN ${number}` | "no ACCEPT" | "no rule";

interface Case {
  rules: string[];
  /** By the rule of that number, or by none. */
  decided: Partial<Record<Name, Decided>>;
  others: Decided;
}

const cases: Record<string, Case> = {
  "no rule": { rules: [], decided: {}, others: "no rule" },
  "ACCEPT alone": { rules: ["-j ACCEPT"], decided: {}, others: "ACCEPT 1" },
  "RETURN alone": { rules: ["--jump return"], decided: {}, others: "RETURN 1" },

  "--ip, ACCEPT: both ends": {
    rules: ["-i 10.0.0.0/8"],
    decided: { ipv4: "ACCEPT 1", mapped: "ACCEPT 1", both: "ACCEPT 1" },
    others: "no ACCEPT",
  },
  "--ip, ACCEPT: not one end": {
    rules: ["-i 10.1.0.0/16", "-i 10.2.0.0/16", "-i fd00:1::/32", "-i fd00:2::1"],
    decided: {},
    others: "no ACCEPT",
  },
  "--ip, ACCEPT: each end in a block of its own": {
    rules: ["-i 10.1.0.1 -i 10.2.0.0/30", "-i fd00:1::1 -i fd00:2::/33"],
    decided: { ipv4: "ACCEPT 1", mapped: "ACCEPT 1", ipv6: "ACCEPT 2" },
    others: "no ACCEPT",
  },
  "--ip, RETURN: one end": {
    rules: ["-i 10.1.0.1 -j RETURN", "-i fd00:2::/32 -j RETURN", "-i 192.168.1.254/31 -j RETURN"],
    decided: { ipv4: "RETURN 1", mapped: "RETURN 1", ipv6: "RETURN 2", high: "RETURN 3" },
    others: "no rule",
  },
  "--ip: the longer of two blocks has what the shorter has": {
    rules: ["-i 10.2.0.0/16 -j RETURN", "-i 10.2.0.1", "-i 10.0.0.0/8"],
    decided: { ipv4: "RETURN 1", mapped: "RETURN 1", both: "RETURN 1" },
    others: "no ACCEPT",
  },
  "--ip: IPv4 is one family, mapped or not": {
    rules: ["-i 0.0.0.0/0", "-i ::/0 -j RETURN"],
    decided: { ipv6: "RETURN 2" },
    others: "ACCEPT 1",
  },
  "--ip: IPv4 written as IPv6": {
    rules: ["-i ::ffff:10.0.0.0/104"],
    decided: { ipv4: "ACCEPT 1", mapped: "ACCEPT 1", both: "ACCEPT 1" },
    others: "no ACCEPT",
  },

  "--port, ACCEPT: either end": {
    rules: ["-p 8080", "-p 40003"],
    decided: { ipv4: "ACCEPT 1", ipv6: "ACCEPT 1", mapped: "ACCEPT 1", loopback: "ACCEPT 2" },
    others: "no ACCEPT",
  },
  "--port, RETURN: either end": {
    rules: ["-p 8080 -p 65535 -j RETURN", "-p 40000 -j RETURN", "-p 40002 -j RETURN"],
    decided: { ipv4: "RETURN 1", ipv6: "RETURN 1", mapped: "RETURN 1", high: "RETURN 1", both: "RETURN 3" },
    others: "no rule",
  },
  "--port: a range has its ends": {
    rules: ["-p 40001-40002", "-p 0-1", "-p 15006-15006 -j RETURN"],
    decided: { mapped: "ACCEPT 1", both: "ACCEPT 1", high: "ACCEPT 2", loopback: "RETURN 3" },
    others: "no ACCEPT",
  },
  "--port: ranges that overlap": {
    rules: ["-p 8000-8080", "-p 8080-40000", "-p 1-65535"],
    decided: {
      ipv4: "ACCEPT 1",
      ipv6: "ACCEPT 1",
      mapped: "ACCEPT 1",
      both: "ACCEPT 2",
      loopback: "ACCEPT 2",
    },
    others: "ACCEPT 3",
  },

  "--uid-owner, ACCEPT: either end": {
    rules: ["-u 1337", "-u 0"],
    decided: { loopback: "ACCEPT 2", high: "no ACCEPT" },
    others: "ACCEPT 1",
  },
  "--uid-owner, RETURN: either end": {
    rules: ["--uid-owner 1000 -j RETURN", "--uid=2147483648 -j RETURN"],
    decided: { loopback: "no rule", high: "RETURN 2" },
    others: "RETURN 1",
  },
  "--uid-owner is no group": { rules: ["-u 1338 -u 100"], decided: {}, others: "no ACCEPT" },
  "--gid-owner, ACCEPT: either end": {
    rules: ["-g 100", "-g 4294967294 -g 0"],
    decided: { loopback: "ACCEPT 2", high: "ACCEPT 2" },
    others: "ACCEPT 1",
  },
  "--gid-owner, RETURN: either end": {
    rules: ["--gid-owner 1338 -j RETURN"],
    decided: { loopback: "no rule", high: "no rule" },
    others: "RETURN 1",
  },
  "--gid-owner is no user": { rules: ["-g 1337 -g 1000 -j RETURN"], decided: {}, others: "no rule" },

  "two kinds: both must match, at whichever end": {
    rules: ["-p 40000 -u 1337", "-i 10.0.0.0/8 -g 100 -j RETURN", "-p 15006 -u 1337"],
    decided: { ipv6: "ACCEPT 1", ipv4: "RETURN 2", mapped: "RETURN 2", both: "RETURN 2" },
    others: "no ACCEPT",
  },
  "three kinds": {
    rules: ["-i fd00::/8 -p 8080 -u 1000", "-i 10.0.0.0/8 -p 8081 -u 1337", "-i 127.0.0.1 -p 15006 -g 0"],
    decided: { ipv6: "ACCEPT 1", both: "ACCEPT 2" },
    others: "no ACCEPT",
  },
  "four kinds": {
    rules: [
      "-i 10.1.0.0/24 -p 8080 -u 1000 -g 1339 -j RETURN",
      "-i 10.1.0.0/24 -p 8080 -u 1000 -g 1338 -j RETURN",
      "-i 127.0.0.0/8 -p 15001-15006 -u 0 -g 0",
    ],
    decided: { ipv4: "RETURN 2", mapped: "RETURN 2", loopback: "ACCEPT 3" },
    others: "no ACCEPT",
  },
  "several values of a kind: any of them": {
    rules: ["-i 127.0.0.0/8 -i fd00::/16 -p 1 -p 15006 -p 8080 -u 1 -u 0 -u 1000"],
    decided: { ipv6: "ACCEPT 1", loopback: "ACCEPT 1" },
    others: "no ACCEPT",
  },
  "RETURN wins over ACCEPT, whatever the order": {
    rules: ["-j ACCEPT", "-p 8080 -j RETURN", "-i 10.0.0.0/8", "-u 1000 -j RETURN"],
    decided: { loopback: "ACCEPT 1", high: "ACCEPT 1", both: "RETURN 4" },
    others: "RETURN 2",
  },
  "the first of several that match decides": {
    rules: [
      "-p 7 -j RETURN",
      "-p 8080-8081",
      "-p 8080",
      "-u 1337",
      "-p 1 -j RETURN",
      "-u 4294967294 -j RETURN",
    ],
    decided: { loopback: "no ACCEPT", high: "RETURN 5" },
    others: "ACCEPT 2",
  },
};

for (const [name, { rules: lines, decided, others }] of Object.entries(cases)) {
  Deno.test(`rules decide: ${name}`, async () => {
    await using cgroup = createCgroup("options");
    await using netns = await createLocalNetns("options");
    const text = lines.map((line) => `chain ${line}\n`).join("");
    await using mda = await Mda.start({ cgroup, config: text });
    const names = Object.keys(connections) as Name[];
    const all = names.map((name) => within(netns, connections[name]));
    const rules = parseRules("rules.conf", text);
    const { accelerated, expected } = inside(cgroup, () => observe(mda.pinDir, rules, all));

    const should = names.map((name) => decided[name] ?? others);
    const nobody = { "no ACCEPT rule matches": "no ACCEPT", "there is no ACCEPT rule": "no rule" };
    const reference = expected.map(({ rule, reason }) =>
      rule ? `${rule.rule.jump} ${rule.index + 1}` : nobody[reason as keyof typeof nobody]
    );
    assert.deepEqual(reference, should);
    assert.deepEqual(accelerated, should.map((decided) => /^ACCEPT|^no rule$/.test(decided)));
    const times = lines.map((_, rule) => should.filter((one) => one.endsWith(` ${rule + 1}`)).length);
    assert.deepEqual(readStatus(mda.pinDir).decided, times);
    await mda.stop();
  });
}
