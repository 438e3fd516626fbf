/** Rules and NAT: an end is known by each address and port that either side sees it under. */
import assert from "node:assert/strict";
import { parseRules } from "../../../src/config/parse.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { Mda } from "../../lab/mda.ts";
import { createNetns, joinByVeth } from "../../lab/netns.ts";
import type { Ends } from "./connections.ts";
import { inside, observe, setRules } from "./observe.ts";

const networks = {
  4: {
    prefix: 24,
    forwarding: "net.ipv4.ip_forward",
    loopback: "127.0.0.1",
    service: "10.96.0.1",
    client: "10.77.1.2",
    nearRouter: "10.77.1.1",
    farRouter: "10.77.2.1",
    server: "10.77.2.2",
  },
  6: {
    prefix: 64,
    forwarding: "net.ipv6.conf.all.forwarding",
    loopback: "::1",
    service: "fd96::1",
    client: "fd77:1::2",
    nearRouter: "fd77:1::1",
    farRouter: "fd77:2::1",
    server: "fd77:2::2",
  },
} as const;

const application = { uid: 1000, gid: 1000 };
const sidecar = { uid: 1337, gid: 1337 };

type Hop = "plain" | "outbound" | "inbound" | "dnat" | "snat" | "both";
const allHops: Hop[] = ["plain", "outbound", "inbound", "dnat", "snat", "both"];

interface Case {
  rules: string;
  /** What the first rule matches. */
  matches: Hop[];
}

/** By the names of the network's addresses. */
function casesOf(
  { loopback, service, client, nearRouter, farRouter, server }: typeof networks[4 | 6],
): Case[] {
  return [
    { rules: "", matches: [] },
    // What the client connects to, and where it arrives.
    { rules: "-p 80", matches: ["outbound"] },
    { rules: "-p 15001 -j RETURN", matches: ["outbound"] },
    { rules: "-p 9080", matches: ["inbound"] },
    { rules: "-p 15006 -j RETURN", matches: ["inbound"] },
    { rules: "-p 81-82", matches: ["dnat", "both"] },
    { rules: "-p 8080", matches: ["plain", "dnat", "snat", "both"] },
    // The port that SNAT gives the client.
    { rules: "-p 55000-55999", matches: ["snat", "both"] },
    { rules: "-p 40000-40999", matches: allHops },
    { rules: `-i ${service} -j RETURN`, matches: ["outbound"] },
    { rules: `-i ${loopback} -j RETURN`, matches: ["outbound"] },
    { rules: `-i ${nearRouter} -j RETURN`, matches: ["dnat", "both"] },
    { rules: `-i ${farRouter} -j RETURN`, matches: ["snat", "both"] },
    { rules: `-i ${client} -j RETURN`, matches: allHops },
    // Both ends, each under whichever name.
    { rules: `-i ${service}`, matches: [] },
    { rules: `-i ${client} -i ${service}`, matches: ["outbound"] },
    { rules: `-i ${client} -i ${loopback}`, matches: ["outbound"] },
    { rules: `-i ${client} -i ${nearRouter}`, matches: ["dnat", "both"] },
    { rules: `-i ${farRouter} -i ${nearRouter}`, matches: ["both"] },
    { rules: `-i ${farRouter} -i ${server}`, matches: ["snat", "both"] },
    { rules: `-i ${client} -i ${server}`, matches: allHops.filter((hop) => hop !== "outbound") },
    // With the other kinds.
    { rules: `-p 80 -u 1337 -i ${client} -i ${loopback}`, matches: ["outbound"] },
    { rules: "-p 80 -p 15006 -g 1000 -j RETURN", matches: ["outbound", "inbound"] },
    { rules: "-p 80 -p 15001 -u 1338", matches: [] },
  ];
}

for (const family of [4, 6] as const) {
  Deno.test(`rules know an end by both names that NAT gives it, IPv${family}`, async () => {
    const network = networks[family];
    const { prefix, loopback, service, nearRouter, farRouter } = network;
    await using cgroup = createCgroup("rules-nat");
    await using clientNetns = await createNetns("client");
    await using router = await createNetns("router");
    await using serverNetns = await createNetns("server");
    await joinByVeth(
      { netns: clientNetns, device: "eth0", addresses: [`${network.client}/${prefix}`] },
      { netns: router, device: "client", addresses: [`${nearRouter}/${prefix}`] },
    );
    await joinByVeth(
      { netns: serverNetns, device: "eth0", addresses: [`${network.server}/${prefix}`] },
      { netns: router, device: "server", addresses: [`${farRouter}/${prefix}`] },
    );
    await clientNetns.ip(`-${family} route add default via ${nearRouter}`);
    await serverNetns.ip(`-${family} route add default via ${farRouter}`);
    await router.sysctl(network.forwarding, 1);
    const spell = (address: string) => family === 4 ? address : `[${address}]`;
    await clientNetns.nat(family, "-A OUTPUT -p tcp --dport 80 -j REDIRECT --to-ports 15001");
    await serverNetns.nat(family, "-A PREROUTING -p tcp --dport 9080 -j REDIRECT --to-ports 15006");
    await router.nat(
      family,
      `-A PREROUTING -i client -p tcp --dport 81:82 -j DNAT --to-destination ${spell(network.server)}:8080`,
    );
    await router.nat(
      family,
      `-A POSTROUTING -o server -p tcp --sport 40005:40006 -j SNAT --to-source ${
        spell(farRouter)
      }:55000-55999`,
    );

    const client = (port: number) => ({
      address: network.client,
      port,
      netns: clientNetns,
      ...application,
    });
    const server = (port: number) => ({
      address: network.server,
      port,
      netns: serverNetns,
      ...sidecar,
    });
    const hops: Record<Hop, Ends> = {
      plain: { client: client(40001), server: server(8080) },
      // To a service, through the sidecar in the client's own namespace.
      outbound: {
        client: client(40002),
        server: { address: loopback, port: 15001, netns: clientNetns, ...sidecar },
        to: { address: service, port: 80 },
      },
      // To the application behind another sidecar.
      inbound: {
        client: client(40003),
        server: server(15006),
        to: { address: network.server, port: 9080 },
      },
      dnat: { client: client(40004), server: server(8080), to: { address: nearRouter, port: 81 } },
      snat: { client: client(40005), server: server(8080) },
      both: { client: client(40006), server: server(8080), to: { address: nearRouter, port: 82 } },
    };

    await using mda = await Mda.start({ cgroup });
    for (const { rules: text, matches } of casesOf(network)) {
      const rules = parseRules("rules.conf", text && `chain ${text}\n`);
      setRules(mda.pinDir, rules);
      const ends = allHops.map((hop) => hops[hop]);
      const { expected } = inside(cgroup, () => observe(mda.pinDir, rules, ends));
      assert.deepEqual(allHops.filter((_, index) => expected[index].rule), matches, text);
    }
    await mda.stop();
  });
}
