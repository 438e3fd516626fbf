import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { assertPairedOrBlocking, assertRedirected, Mda } from "../../lab/mda.ts";
import { connectionsOpened, createNetns, joinByVeth } from "../../lab/netns.ts";
import { startNginx } from "../../lab/servers.ts";
import { runWrk } from "../../lab/wrk.ts";

const networks = {
  4: {
    client: "10.77.1.2",
    routerOnClientSide: "10.77.1.1",
    routerOnServerSide: "10.77.2.1",
    server: "10.77.2.2",
    prefix: 24,
    forwarding: "net.ipv4.ip_forward",
    destination: (address: string, port: number) => `${address}:${port}`,
  },
  6: {
    client: "fd77:1::2",
    routerOnClientSide: "fd77:1::1",
    routerOnServerSide: "fd77:2::1",
    server: "fd77:2::2",
    prefix: 64,
    forwarding: "net.ipv6.conf.all.forwarding",
    destination: (address: string, port: number) => `[${address}]:${port}`,
  },
} as const;

for (const family of [4, 6] as const) {
  const { client, routerOnClientSide, routerOnServerSide, server, prefix, forwarding, destination } =
    networks[family];

  Deno.test(`connections are accelerated through DNAT, SNAT and both, IPv${family}`, async () => {
    await using cgroup = createCgroup("nat");
    await using clientNetns = await createNetns("client");
    await using router = await createNetns("router");
    await using serverNetns = await createNetns("server");
    await joinByVeth(
      { netns: clientNetns, device: "eth0", addresses: [`${client}/${prefix}`] },
      { netns: router, device: "client", addresses: [`${routerOnClientSide}/${prefix}`] },
    );
    await joinByVeth(
      { netns: serverNetns, device: "eth0", addresses: [`${server}/${prefix}`] },
      { netns: router, device: "server", addresses: [`${routerOnServerSide}/${prefix}`] },
    );
    await clientNetns.ip(`-${family} route add default via ${routerOnClientSide}`);
    await serverNetns.ip(`-${family} route add default via ${routerOnServerSide}`);
    await router.sysctl(forwarding, 1);
    const dnat = (port: number) =>
      `-A PREROUTING -i client -p tcp --dport ${port} -j DNAT --to-destination ${destination(server, 8080)}`;
    await router.nat(family, dnat(81));
    await router.nat(family, dnat(82));
    await router.nat(
      family,
      "-A POSTROUTING -o server -p tcp -m conntrack ! --ctorigdstport 81 " +
        `-j SNAT --to-source ${routerOnServerSide}`,
    );

    await using mda = await Mda.start({ cgroup });
    await using _nginx = await startNginx({ cgroup, netns: serverNetns }, { port: 8080, address: server }, {
      locations: 'location / { return 200 "$remote_addr to $server_addr"; }',
    });
    const cases = {
      "DNAT": { to: destination(routerOnClientSide, 81), body: `${client} to ${server}` },
      "DNAT and SNAT": {
        to: destination(routerOnClientSide, 82),
        body: `${routerOnServerSide} to ${server}`,
      },
      "SNAT": { to: destination(server, 8080), body: `${routerOnServerSide} to ${server}` },
    };
    for (const [name, { to, body }] of Object.entries(cases)) {
      const before = await connectionsOpened(clientNetns);
      const growth = await mda.during(async () => {
        const place = { cgroup, netns: clientNetns };
        const { errors } = await runWrk(place, `http://${to}/`, { connections: 8, seconds: 1, body });
        assert.equal(errors, 0, name);
      });
      assertRedirected(growth, 1000);
      assertPairedOrBlocking(growth, await connectionsOpened(clientNetns) - before);
      assert.ok(growth.paired >= 8, name);
    }
    await mda.stop();
  });
}
