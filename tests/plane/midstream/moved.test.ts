import assert from "node:assert/strict";
import { compare, type Host } from "./compared.ts";
import { Pair } from "./ends.ts";

Deno.test("connections go on as they are wherever their processes are moved", async () => {
  await compare("moved", async (host) => {
    const places = [host.below("child"), host.outside(), host.cgroup];
    await using pair = await Pair.open(host);
    await pair.flows();
    for (const end of [pair.client, pair.server]) {
      for (const place of places) {
        Deno.writeTextFileSync(place.procs, `${end.pid}`);
        await pair.flows();
      }
    }
    await pair.finish();
    return pair.noted().map(({ client, server }) => [client, server]);
  });
});

Deno.test("a connection is accelerated that its client opens in mda's cgroup, before or after it was elsewhere", async () => {
  await compare("opened", async (host) => {
    const outside = host.outside();
    await using pair = await Pair.open(host);
    await pair.flows();
    for (const place of [outside, host.cgroup]) {
      Deno.writeTextFileSync(place.procs, `${pair.client.pid}`);
      const pairedBefore = await paired(host);
      const ports = await pair.open(2, place === host.cgroup);
      await pair.flows({ ports, redirected: place === host.cgroup });
      const opened = await paired(host) - pairedBefore;
      if (host.mda) assert.equal(opened, place === host.cgroup ? 2 : 0);
    }
    await pair.flows();
    await pair.finish(pair.client.ports);
    return pair.noted(pair.client.ports).map(({ client, server }) => [client, server]);
  });
});

async function paired({ mda }: Host): Promise<number> {
  return mda ? (await mda.status()).connections.paired : 0;
}
