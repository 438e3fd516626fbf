/**
 * NAT state that is forgotten after ten seconds without a packet, under connections that are busy for longer: what arrives is
 * what arrives over TCP. tests/network/forgetting has the programs.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type Cgroup, createCgroup } from "../lab/cgroup.ts";
import { Mda, newPinDir, removePins, runMda, statusOf, writeConfig } from "../lab/mda.ts";
import { createNetns, type NetworkNamespace } from "../lab/netns.ts";
import { run, start } from "../lab/program.ts";
import { sleep, waitFor } from "../lab/wait.ts";

const script = (name: string) => fileURLToPath(new URL(`forgetting/${name}.py`, import.meta.url));

/** How long a connection is busy, and how long NAT remembers. */
const BUSY_S = 26;
const FORGETS_S = 10;
/** Of a connection, in all: 4 kinds of traffic, 4 ends. */
const CASES = 16;

/** What clients connect to, and where that leads. */
const places = {
  "DNAT to one of two": { port: 8081, servers: ["10.9.9.2:8080", "10.9.9.3:8080"] },
  REDIRECT: { port: 8082, servers: ["10.9.9.1:8090"] },
  MASQUERADE: { port: 8083, servers: ["10.9.9.1:8083"] },
};

async function createNat(name: string): Promise<NetworkNamespace> {
  const netns = await createNetns(name);
  for (const address of ["10.9.9.1", "10.9.9.2", "10.9.9.3"]) await netns.ip(`addr add ${address}/32 dev lo`);
  const output = "-A OUTPUT -p tcp -d 10.9.9.1 --dport";
  await netns.nat(
    4,
    `${output} 8081 -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination 10.9.9.2:8080`,
  );
  await netns.nat(4, `${output} 8081 -j DNAT --to-destination 10.9.9.3:8080`);
  await netns.nat(4, `${output} 8082 -j REDIRECT --to-ports 8090`);
  await netns.nat(4, "-A OUTPUT -p tcp -d 127.0.0.1 --dport 8082 -j REDIRECT --to-ports 8090");
  await netns.nat(4, "-A POSTROUTING -p tcp --dport 8083 -j MASQUERADE --to-ports 30000-40000");
  await netns.sysctl("net.netfilter.nf_conntrack_tcp_timeout_established", FORGETS_S);
  return netns;
}

/** Runs all cases in a place and returns what came of them; `meanwhile` is done when they are busy for half of the time. */
async function runCases(
  place: { cgroup?: Cgroup; netns: NetworkNamespace },
  meanwhile = () => Promise.resolve(),
): Promise<string[]> {
  const listens = ["10.9.9.2:8080", "10.9.9.3:8080", "0.0.0.0:8090", "10.9.9.1:8083"];
  await using server = start(place, ["python3", script("server"), ...listens]);
  await server.says(/listens/);
  const targets = Object.values(places).map(({ port }) => `10.9.9.1:${port}`);
  await using client = start(place, ["python3", script("client"), `${BUSY_S}`, ...targets]);
  await sleep(BUSY_S / 2 * 1000);
  await meanwhile();
  assert.equal((await client.ended((BUSY_S + 60) * 1000)).code, 0, client.stderr);
  // What a killed process leaves, its peer is told as well.
  await using killed = start(place, ["python3", script("client"), "60", targets[0]]);
  await killed.says(new RegExp(`(: open\n[^]*){${CASES}}`));
  await killed.stop("SIGKILL");
  const established = () => run({ netns: place.netns }, ["ss", "-Htn", "state", "established"]);
  await waitFor("the end of all connections", async () => (await established()) === "");
  return client.stdout.trim().split("\n").sort();
}

const expected = Object.keys(places).length * CASES;

async function underRun(meanwhile: (mda: Mda) => Promise<void>): Promise<string[]> {
  await using cgroup = createCgroup("forgetting");
  await using netns = await createNat("forgetting");
  await using mda = await Mda.start({ cgroup });
  return await runCases({ cgroup, netns }, () => meanwhile(mda));
}

/** What was redirected so far, and that the messages for NAT's sake were among those that passed. */
async function assertBusy(pinDir: string): Promise<void> {
  const { redirected, passed } = (await statusOf(pinDir)).status;
  const seen = JSON.stringify({ redirected, passed });
  assert.ok(redirected.messages > 2 * passed.refresh, seen);
  assert.ok(passed.refresh > expected, seen);
}

async function underEnable(): Promise<string[]> {
  await using cgroup = createCgroup("forgetting");
  await using netns = await createNat("forgetting");
  const pinDir = newPinDir(), config = writeConfig("");
  const mda = async (...args: string[]) => {
    const { code, stderr } = await runMda(["--pin-dir", pinDir, ...args]);
    assert.equal(code, 0, stderr);
  };
  try {
    await mda("enable", "--config", config, "--cgroup", cgroup.path);
    const found = await runCases({ cgroup, netns }, () => assertBusy(pinDir));
    await mda("disable");
    return found;
  } finally {
    await runMda(["--pin-dir", pinDir, "disable", "--force"]);
    removePins(pinDir);
    Deno.removeSync(config);
  }
}

Deno.test("NAT that forgets after 10 s does not forget busy connections, whatever becomes of mda", async () => {
  const plain = async () => {
    await using netns = await createNat("plain");
    return await runCases({ netns });
  };
  const [onTcp, ...underMda] = await Promise.all([
    plain(),
    underRun((mda) => assertBusy(mda.pinDir)),
    underRun(async (mda) => void await mda.stop()),
    underRun((mda) => mda.crash()),
    underEnable(),
  ]);
  assert.equal(onTcp.filter((line) => line.endsWith(": ok")).length, expected, onTcp.join("\n"));
  for (const found of underMda) assert.deepEqual(found, onTcp);
});
