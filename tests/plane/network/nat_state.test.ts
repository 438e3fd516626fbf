/** NAT's entries, keepalive's timers and TCP_INFO under busy connections whose bytes are redirected. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type Cgroup, createCgroup } from "../../lab/cgroup.ts";
import { difference, Mda, newPinDir, removePins, runMda, statusOf, writeConfig } from "../../lab/mda.ts";
import { createNetns, type NetworkNamespace } from "../../lab/netns.ts";
import { type Place, type Program, run, start } from "../../lab/program.ts";
import { sleep, waitFor } from "../../lab/wait.ts";

const program = fileURLToPath(new URL("nat_state.py", import.meta.url));
const ports = { served: 8080, killed: 8081 };
/** What is asked for, which NAT makes another address and port of. */
const nats = [
  { nat: "dnat", address: "10.9.9.1", shift: 1000 },
  { nat: "redirect", address: "10.9.9.4", shift: 1000 },
  { nat: "masquerade", address: "10.9.9.5", shift: 0 },
];
const patterns = ["requests", "up", "down", "bursts"];
const endings = ["server_closes", "client_closes", "half_close", "bulk", "server_killed", "client_killed"];
const busySeconds = 30;

/** Levels and names of setsockopt(2). */
const keepalive = [[1, 9, 1], [6, 4, 5], [6, 5, 1], [6, 6, 2]]; // SO_KEEPALIVE; TCP_KEEPIDLE 5 s, INTVL 1 s, CNT 2
const userTimeout = [6, 18, 5000];

interface Plan {
  name: string;
  address: string;
  port: number;
  pattern: string;
  ending: string;
  options?: number[][];
  unwatched?: boolean;
}

/** A namespace with NAT that forgets a connection after ten seconds of silence. */
async function natted(name: string, backends = ["10.9.9.2", "10.9.9.3"]): Promise<NetworkNamespace> {
  const netns = await createNetns(name);
  for (const address of ["10.9.9.1", "10.9.9.2", "10.9.9.3", "10.9.9.4", "10.9.9.5"]) {
    await netns.ip(`addr add ${address}/32 dev lo`);
  }
  for (const port of Object.values(ports)) {
    const to = (address: string) => `-p tcp -d ${address} --dport ${port + 1000}`;
    for (const [index, backend] of backends.entries()) {
      const turn = `-m statistic --mode nth --every ${backends.length - index} --packet 0`;
      await netns.nat(4, `-A OUTPUT ${to("10.9.9.1")} ${turn} -j DNAT --to-destination ${backend}:${port}`);
    }
    await netns.nat(4, `-A OUTPUT ${to("10.9.9.4")} -j REDIRECT --to-ports ${port}`);
  }
  await netns.nat(4, "-A POSTROUTING -p tcp -d 10.9.9.5 -j MASQUERADE");
  await netns.sysctl("net.netfilter.nf_conntrack_tcp_timeout_established", 10);
  return netns;
}

interface Transcript {
  /** What each end has received, and how it ended. */
  lines: string[];
  /** The longest that TCP_INFO said nothing had come or grown, s. */
  idle: number;
  still: number;
}

/** Connections of a server and a client each for those who are killed, and for the others. */
async function converse(
  place: Place,
  plans: Plan[],
  seconds: number,
  connected = () => {},
): Promise<Transcript> {
  const groups = ["", "server_killed", "client_killed"].map((killed) =>
    plans.filter(({ ending }) => killed ? ending === killed : !ending.endsWith("killed"))
  );
  const python = (...args: (string | number)[]) => start(place, ["python3", program, ...args.map(String)]);
  await using programs = new AsyncDisposableStack();
  const all: Program[] = [];
  const use = (one: Program) => (all.push(one), programs.use(one));
  for (const [port, count] of [[8080, groups[0].length + groups[2].length], [8081, groups[1].length]]) {
    if (count > 0) await use(python("serve", port, count)).says(/listening/);
  }
  const clients = groups.filter(({ length }) => length > 0)
    .map((group) => use(python("connect", seconds, JSON.stringify(group))));
  for (const client of clients) await client.says(/^connected$/m, 20_000);
  connected();
  for (const one of all) {
    const { success, signal } = await one.ended((seconds + 60) * 1000);
    assert.ok(success || signal === "SIGKILL", one.stderr);
    assert.equal(one.stderr, "");
  }
  const lines = all.flatMap(({ stdout }) => stdout.split("\n"))
    .filter((line) => !["", "listening", "connected"].includes(line));
  const infos = lines.filter((line) => line.startsWith("tcp_info ")).map((line) => JSON.parse(line.slice(9)));
  return {
    lines: lines.filter((line) => !line.startsWith("tcp_info ")).sort(),
    idle: Math.max(...infos.map(({ idle }) => idle)),
    still: Math.max(...infos.map(({ still }) => still)),
  };
}

/** As Promise.all(), but nothing goes on after an error. */
async function all<T extends unknown[]>(...promises: { [Index in keyof T]: Promise<T[Index]> }): Promise<T> {
  await Promise.allSettled(promises);
  return await Promise.all(promises) as T;
}

/** No end is left that waits for another. */
async function assertNoneIsHalfOpen(netns: NetworkNamespace): Promise<void> {
  let left = "";
  const none = async () =>
    !(left = await run({ netns }, ["ss", "-Htno", "state", "connected", "exclude", "time-wait"]));
  await waitFor("the connections to end", none, { timeoutMs: 8000, everyMs: 200 }).catch(() => {});
  assert.equal(left, "");
}

/** What becomes of mda while connections are busy. */
type Fate = "runs" | "stops" | "is killed" | "no process" | "no process, is disabled";

async function underMda<T>(fate: Fate, cgroup: Cgroup, body: (connected: () => void) => Promise<T>) {
  const processless = fate.startsWith("no process");
  const pinDir = newPinDir();
  const config = writeConfig("");
  const mda = async (...words: string[]) => {
    const { code, stderr } = await runMda(["--pin-dir", pinDir, ...words]);
    assert.equal(code, 0, stderr);
  };
  try {
    await using process = processless ? undefined : await Mda.start({ cgroup, pinDir });
    if (processless) await mda("enable", "--config", config, "--cgroup", cgroup.path);
    const before = (await statusOf(pinDir)).status;
    const connected = Promise.withResolvers<void>();
    const talk = body(connected.resolve);
    const counted = async () => difference(before, (await statusOf(pinDir)).status);
    let growth;
    if (fate === "stops" || fate === "no process, is disabled") {
      await Promise.race([connected.promise.then(() => sleep(20_000)), talk]);
      growth = await counted();
      if (process) await process.stop();
      else await mda("disable");
    } else if (fate === "is killed") {
      await Promise.race([connected.promise.then(() => sleep(12_000)), talk]);
      await process!.crash();
    }
    const transcript = await talk;
    growth ??= await counted();
    if (fate === "runs") await process!.stop();
    else if (fate === "no process" || fate === "is killed") await mda("disable");
    return { transcript, growth };
  } finally {
    await runMda(["--pin-dir", pinDir, "disable", "--drain-timeout", "1", "--force"]);
    removePins(pinDir);
    Deno.removeSync(config);
  }
}

Deno.test("busy connections through NAT go on and end as over TCP, whatever becomes of mda", async () => {
  const plans = patterns.flatMap((pattern, row) =>
    endings.map((ending, column) => {
      const { nat, address, shift } = nats[(row + column) % nats.length];
      const port = (ending === "server_killed" ? ports.killed : ports.served) + shift;
      // In bursts only conntrack is to be kept awake, not by keepalive.
      const options = pattern === "bursts" ? [] : [...keepalive, userTimeout];
      return { name: `${nat} ${pattern} ${ending}`, address, port, pattern, ending, options };
    })
  );
  const onTcp = async () => {
    await using netns = await natted("nat-tcp");
    const transcript = await converse({ netns }, plans, busySeconds);
    await assertNoneIsHalfOpen(netns);
    return transcript;
  };
  const accelerated = async (fate: Fate) => {
    await using cgroup = createCgroup("nat-state");
    await using netns = await natted("nat-mda");
    const found = await underMda(
      fate,
      cgroup,
      (connected) => converse({ cgroup, netns }, plans, busySeconds, connected),
    );
    await assertNoneIsHalfOpen(netns);
    return { fate, ...found };
  };
  const fates: Fate[] = ["runs", "stops", "is killed", "no process", "no process, is disabled"];
  const [tcp, ...found] = await all(onTcp(), ...fates.map(accelerated));

  assert.equal(tcp.lines.length, 2 * plans.length, tcp.lines.join("\n"));
  for (const { fate, transcript, growth } of found) {
    const seen = `${fate}: ${JSON.stringify(growth)}`;
    assert.deepEqual(transcript.lines, tcp.lines, fate);
    assert.equal(growth.paired, plans.length, seen);
    const passed = Object.values(growth.passed).reduce((sum, count) => sum + count, 0);
    assert.ok(growth.messages > 1000 && growth.messages > 9 * passed, seen);
    assert.ok(growth.passed.refresh > 0, seen);
    // Two, but for a test that has to wait for a CPU.
    assert.ok(transcript.idle < 4 && transcript.still < 4, `${fate}: ${JSON.stringify(transcript)}`);
  }
});

Deno.test("connections whose NAT state is gone, or that reach nobody, end as over TCP", async () => {
  const removed = { nat: "removed", address: "10.9.9.6", shift: 1000 };
  const silent = { nat: "silent", address: "10.9.9.7", shift: 0 };
  const plans = [
    // Who sends first makes the entry anew, which would be chance with requests.
    ...["up", "down"].flatMap((pattern) => nats.map((nat) => ({ ...nat, pattern }))),
    ...["up", "down", "requests"].flatMap((pattern) => [removed, silent].map((nat) => ({ ...nat, pattern }))),
  ].map(({ nat, address, shift, pattern }) => ({
    name: `${nat} ${pattern}`,
    address,
    port: ports.served + shift,
    pattern,
    ending: "half_close",
    options: [...keepalive, [...userTimeout.slice(0, 2), 4000]],
    // It would take those for idle that wait for their timeout.
    unwatched: true,
  }));
  const talk = async (place: Place & { netns: NetworkNamespace }, connected = () => {}) => {
    const { netns } = place;
    for (const { address } of [removed, silent]) await netns.ip(`addr add ${address}/32 dev lo`);
    const rule = `OUTPUT -p tcp -d ${removed.address} --dport ${ports.served + removed.shift} -j DNAT ` +
      `--to-destination 10.9.9.2:${ports.served}`;
    await netns.nat(4, `-A ${rule}`);
    const busy = Promise.withResolvers<void>();
    const talk = converse(place, plans, 15, () => (connected(), busy.resolve()));
    await Promise.race([busy.promise.then(() => sleep(4000)), talk]);
    await netns.nat(4, `-D ${rule}`);
    await run({ netns }, ["iptables", "-w", "-A", "INPUT", "-d", silent.address, "-j", "DROP"]);
    await run({ netns }, ["python3", program, "forget"]);
    const { lines } = await talk;
    await assertNoneIsHalfOpen(netns);
    // How far a connection came that broke is chance.
    return lines.map((line) => line.endsWith(", the end") ? line : line.replace(/ \d+ bytes \w+,/, ""));
  };
  const onTcp = async () => {
    await using netns = await natted("nat-tcp", ["10.9.9.2"]);
    return await talk({ netns });
  };
  const accelerated = async (fate: Fate) => {
    await using cgroup = createCgroup("nat-state");
    await using netns = await natted("nat-mda", ["10.9.9.2"]);
    return { fate, ...await underMda(fate, cgroup, (connected) => talk({ cgroup, netns }, connected)) };
  };
  const [tcp, ...found] = await all(onTcp(), accelerated("runs"), accelerated("no process"));

  for (const ending of ["up server", "down client"]) {
    const how = ending.startsWith("up") ? /bytes .*, the end$/ : /reset by peer$/;
    assert.match(tcp.find((line) => line.startsWith(`dnat ${ending}`))!, how);
    assert.match(tcp.find((line) => line.startsWith(`silent ${ending}`))!, /timed out$/);
  }
  for (const { fate, transcript, growth } of found) {
    assert.deepEqual(transcript, tcp, fate);
    assert.equal(growth.paired, plans.length, fate);
    assert.ok(growth.messages > 1000, JSON.stringify(growth));
  }
});
