/** Connections that nobody thought of, through NAT too. */
import { formatAddress } from "../../../src/rules/addresses.ts";
import { type Random, randomAddress, randomOwner, randomPort } from "../../lab/random.ts";
import type { NetworkNamespace } from "../../lab/netns.ts";
import { createLocalNetns, type Ends, type Owner } from "./connections.ts";

/** What NAT makes of a connection, by the port that its client connects to. */
interface Way {
  port: number;
  /** Where the server is, when not where the client connects to. */
  server?: Record<4 | 6, string>;
  /** The address that the server takes the client for. */
  client?: Record<4 | 6, string>;
}

// Near randomAddress()'s, and none of them.
const backend = { 4: "10.10.192.11", 6: "fdfd::1:21" };
const masquerade = { 4: "192.10.0.129", 6: "fd00:1::fe" };
const redirect: Way = { port: 21, server: { 4: "127.0.0.1", 6: "::1" } };
const dnat: Way = { port: 22, server: backend };
const snat: Way = { port: 23, client: masquerade };
const dnatAndSnat: Way = { port: 24, server: backend, client: masquerade };
const ways = [redirect, dnat, snat, dnatAndSnat];
const serverPort = 15006;

function wayTo(port: number): Way {
  return ways.find((way) => way.port === port) ?? { port };
}

/** A namespace in which every address is local, and some ports lead elsewhere. */
export async function createNatNetns(name: string): Promise<NetworkNamespace> {
  const netns = await createLocalNetns(name);
  // A connection that was reset is forgotten at once, and never in the way of another one's NAT.
  await netns.sysctl("net.netfilter.nf_conntrack_tcp_timeout_close", 0);
  for (const family of [4, 6] as const) {
    const spell = (address: string) => family === 4 ? address : `[${address}]`;
    const output = (way: Way, target: string) =>
      netns.nat(family, `-A OUTPUT -p tcp --dport ${way.port} -j ${target}`);
    await output(redirect, `REDIRECT --to-ports ${serverPort}`);
    for (const way of [dnat, dnatAndSnat]) {
      await output(way, `DNAT --to-destination ${spell(way.server![family])}:${serverPort}`);
    }
    for (const { port, client } of [snat, dnatAndSnat]) {
      const of = `-A POSTROUTING -p tcp -m conntrack --ctorigdstport ${port}`;
      await netns.nat(family, `${of} -j SNAT --to-source ${spell(client![family])}:50000-59999`);
    }
  }
  return netns;
}

/** Connections of which no two share a client's address and port. */
export function randomConnections(random: Random, count: number): Ends[] {
  const all = new Map<string, Ends>();
  while (all.size < count) {
    const ends = randomEnds(random);
    const { address, port } = ends.client;
    // A client cannot be bound where its server listens.
    if (port !== ends.server.port) all.set(`${address.replace("::ffff:", "")} ${port}`, ends);
  }
  return [...all.values()];
}

function randomEnds(random: Random): Ends {
  const family = random.pick([4, 6] as const);
  // Some IPv4 is spoken by IPv6 sockets.
  const spelled = (address: string, percent: number) =>
    family === 4 && random.chance(percent) ? `::ffff:${address}` : address;
  const way = random.chance(60) ? wayTo(randomPort(random)) : random.pick(ways);
  const address = randomUnicast(random, family);
  const client = {
    address: spelled(randomUnicast(random, family), 20),
    port: randomPort(random),
    ...randomOwners(random),
  };
  const at = way.server ? way.server[family] : address;
  return {
    client,
    server: {
      address: random.chance(20) ? "::" : spelled(at, 20),
      port: way.server ? serverPort : way.port,
      ...randomOwners(random),
    },
    to: { address: client.address.startsWith("::ffff:") ? `::ffff:${address}` : address, port: way.port },
  };
}

function randomUnicast(random: Random, family: 4 | 6): string {
  for (;;) {
    const address = randomAddress(random);
    const [first] = address.bytes;
    const isUnicast = family === 4 ? first > 0 && first < 224 : first < 0xff;
    if (address.family === family && isUnicast) return formatAddress(address);
  }
}

function randomOwners(random: Random): Owner {
  // 4294967295 is no id.
  const id = () => Math.min(randomOwner(random), 0xffff_fffe);
  return { uid: id(), gid: id() };
}
