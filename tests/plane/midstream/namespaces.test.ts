import assert from "node:assert/strict";
import { joinByVeth, type NetworkNamespace, type VethEnd } from "../../lab/netns.ts";
import { tryRun } from "../../lab/program.ts";
import { sleep, waitFor } from "../../lab/wait.ts";
import { compare, type Host, patienceMs, waitUntilNoSocket } from "./compared.ts";
import { Pair } from "./ends.ts";

const clientAddress = "10.77.0.1";
const serverAddress = "10.77.0.2";
/** Longer than a message through TCP is away: see bpf/refresh.h. */
const awayMs = 1500;

interface Joined {
  client: NetworkNamespace;
  server: NetworkNamespace;
  join(): Promise<void>;
}

/** Two namespaces with a veth pair between them. */
async function joined(host: Host, name: string): Promise<Joined> {
  const client = await host.namespace(`${name}-client`), server = await host.namespace(`${name}-server`);
  const ends: [VethEnd, VethEnd] = [
    { netns: client, device: "server", addresses: [`${clientAddress}/24`] },
    { netns: server, device: "client", addresses: [`${serverAddress}/24`] },
  ];
  const join = () => joinByVeth(...ends);
  await join();
  return { client, server, join };
}

async function openBetween(host: Host, { client, server }: Joined): Promise<Pair> {
  return await Pair.open(host, {
    address: serverAddress,
    client: { netns: client },
    server: { netns: server },
  });
}

Deno.test("streams between two namespaces go on when their veth comes back, and break as TCP's when it does not", async () => {
  await compare("veth", async (host) => {
    await Promise.all([back(host), gone(host)]);
  });
});

async function back(host: Host): Promise<void> {
  const namespaces = await joined(host, "back");
  {
    await using pair = await openBetween(host, namespaces);
    await pair.flows();
    await namespaces.client.ip("link del server");
    await sleep(awayMs);
    await namespaces.join();
    await pair.flows();
    await pair.finish();
  }
  await waitUntilNoSocket(namespaces.client);
  await waitUntilNoSocket(namespaces.server);
}

async function gone(host: Host): Promise<void> {
  const namespaces = await joined(host, "gone");
  // So that TCP gives up after seconds, not after minutes.
  for (const netns of [namespaces.client, namespaces.server]) {
    await netns.sysctl("net.ipv4.tcp_retries2", 3);
    await netns.sysctl("net.ipv4.tcp_orphan_retries", 1);
  }
  {
    await using pair = await openBetween(host, namespaces);
    await pair.flows();
    // Each end sends, whatever it receives: TCP gives up what is not acknowledged.
    for (const end of [pair.client, pair.server]) await end.tell("probe on", "window 100000000");
    await namespaces.client.ip("link del server");
    await pair.ended();
    for (const { toServer, toClient, client, server } of pair.noted()) {
      assert.ok(toServer.received <= toServer.sent && toClient.received <= toClient.sent);
      // Which of them it is depends, over TCP too, on the timer that runs out: that of retransmits finds no route, that of
      // probes does not look for one.
      for (const text of [client, server]) {
        assert.match(text, /^(ENETUNREACH|EHOSTUNREACH|ETIMEDOUT): .*, send EPIPE$/);
      }
    }
  }
  await waitUntilNoSocket(namespaces.client);
  await waitUntilNoSocket(namespaces.server);
}

/** A veth pair's end in the host's namespace goes with the namespace that the other is in, and this with its last socket. */
async function addCanary(host: Host, netns: NetworkNamespace, device: string): Promise<() => Promise<void>> {
  await joinByVeth({ netns: host.netns, device, addresses: [] }, { netns, device: "canary", addresses: [] });
  const isGone = async () => (await tryRun({ netns: host.netns }, ["ip", "link", "show", device])).code !== 0;
  return async () => {
    await waitFor(`the end of namespace ${netns.name}`, isGone, { timeoutMs: patienceMs, everyMs: 50 });
  };
}

Deno.test("streams in namespaces that are deleted go on, and these go with the last socket", async () => {
  await compare("deleted", async (host) => {
    const namespaces = await joined(host, "two");
    const one = await host.namespace("one");
    const gone = [
      await addCanary(host, namespaces.client, "client"),
      await addCanary(host, namespaces.server, "server"),
      await addCanary(host, one, "one"),
    ];
    {
      await using between = await openBetween(host, namespaces);
      await using inside = await Pair.open(host, { client: { netns: one }, server: { netns: one } });
      const pairs = [between, inside];
      for (const netns of [namespaces.client, namespaces.server, one]) await netns.remove();
      for (const pair of pairs) await pair.flows();
      const ends = pairs.flatMap(({ client, server }) => [client, server]);
      for (const end of ends) await end.tell(`leave ${host.netns.path}`);
      for (const pair of pairs) await pair.flows();
      for (const pair of pairs) await pair.finish();
    }
    for (const ended of gone) await ended();
  });
});
