/** Listeners that share a port, and whose processes come and go while clients connect. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import type { NetworkNamespace } from "../../lab/netns.ts";
import { run } from "../../lab/program.ts";
import { sleep } from "../../lab/wait.ts";
import { compare, type Host } from "./compared.ts";
import { End, Records } from "./ends.ts";

const address = "127.0.0.1";
const port = 7000;
const connections = 20;
const rounds = 3;
const roundMs = 200;

const migrates = existsSync("/proc/sys/net/ipv4/tcp_migrate_req");

/** In which a worker does not accept what clients connect to it. */
const busyMs = 50;

/** How often streams came to which end: each of some sixty messages in each direction. */
type Churned = Record<string, number>;

/** Lets clients connect to one worker after the other, and `replace` each by the next. */
async function churn(
  host: Host,
  migrate: 0 | 1,
  replace: (old: End, startNext: () => Promise<End>) => Promise<End>,
): Promise<Churned> {
  const { cgroup, netns } = host;
  // With it, what a listener that is closed has not accepted goes to another of the same port.
  if (migrates) await netns.sysctl("net.ipv4.tcp_migrate_req", migrate);
  using records = new Records();
  await using made = new AsyncDisposableStack();
  const start = async (...argv: (string | number)[]) => made.use(await End.start({ cgroup, netns }, argv));
  const startWorker = () => start("listen", records.path, address, port, "reuseport");
  let worker = await startWorker();
  const client = await start("connect", records.path, address, port, 0);
  await client.tell(`churn ${connections}`);
  for (let round = 0; round < rounds; round++) {
    await sleep(roundMs);
    worker = await replace(worker, startWorker);
  }
  await sleep(roundMs);
  if (host.mda) {
    const { connections: { paired }, redirected } = await host.mda.status();
    assert.ok(paired > 100 && redirected.messages > 1000, JSON.stringify({ paired, redirected }));
  }
  await client.tell("churn 0");
  assert.equal(client.program.stderr + worker.program.stderr, "");
  const [, line] = /^churned: (.*)$/m.exec(client.program.stdout)!;
  return Object.fromEntries(
    line.split(", ").map((part) => {
      const [, times, how] = /^(\d+) x (.*)$/.exec(part)!;
      return [how, Number(times)];
    }),
  );
}

Deno.test("workers that are replaced without a reset over TCP are so under mda", async () => {
  await compare("replaced", async (host) => {
    const seen = await churn(host, 1, async (old, startNext) => {
      const next = await startNext();
      await old.tell("accept 0");
      await sleep(busyMs);
      await old.tell("unlisten", "drain");
      await old.program.stop("SIGTERM");
      return next;
    });
    assert.ok(seen.EOF > 100);
    if (migrates) assert.ok(await migrated(host.netns) > 0);
    // Before 5.14 TCP resets what was not accepted.
    return migrates ? Object.keys(seen) : undefined;
  });
});

/** How many connections went from a listener that was closed to another since the namespace was made. */
async function migrated(netns: NetworkNamespace): Promise<number> {
  const [names, values] = (await run({ netns }, ["grep", "^TcpExt:", "/proc/self/net/netstat"])).split("\n");
  return Number(values.split(" ")[names.split(" ").indexOf("TCPMigrateReqSuccess")]);
}

Deno.test("workers that are killed end their clients' streams, and no others, over TCP and under mda", async () => {
  await compare("killed", async (host) => {
    const seen = await churn(host, 0, async (old, startNext) => {
      const next = await startNext();
      await old.tell("accept 0");
      await sleep(busyMs);
      await old.program.stop("SIGKILL");
      return next;
    });
    // What was unread decides between these: of redirected bytes TCP knows nothing (docs/limits.md).
    const { EOF: whole, ...cut } = seen;
    const atMost = rounds * connections;
    assert.deepEqual(
      Object.keys(cut).filter((how) => !["EOF early", "ECONNRESET", "EPIPE"].includes(how)),
      [],
    );
    assert.ok(whole > 100 && Object.values(cut).reduce((sum, times) => sum + times, 0) <= 2 * atMost);
  });
});
