import assert from "node:assert/strict";
import { BpfMap } from "../../../src/libbpf/map.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { Mda } from "../../lab/mda.ts";
import { connectionsOpened, createNetns, joinByVeth } from "../../lab/netns.ts";
import { type Place } from "../../lab/program.ts";
import { startNginx } from "../../lab/servers.ts";
import { runWrk } from "../../lab/wrk.ts";
import { sleep } from "../../lab/wait.ts";

const here = "10.78.0.1", there = "10.78.0.2";
const body = "hello";
const locations = `location / { return 200 "${body}"; }`;
const connections = 8;

Deno.test("connections with a peer that is not local are never in the sockhash", async () => {
  await using cgroup = createCgroup("local");
  await using hereNetns = await createNetns("here");
  await using thereNetns = await createNetns("there");
  await joinByVeth(
    { netns: hereNetns, device: "eth0", addresses: [`${here}/24`] },
    { netns: thereNetns, device: "eth0", addresses: [`${there}/24`] },
  );
  await using mda = await Mda.start({ cgroup });
  const local: Place = { cgroup, netns: hereNetns };
  // Outside of the cgroup, as if on another host: its sockets' programs see nothing of this mda.
  const remote: Place = { netns: thereNetns };
  await using _local = await startNginx(local, { port: 80, address: here }, { locations });
  await using _remote = await startNginx(remote, { port: 80, address: there }, { locations });

  /** Loads a server, and returns how many sockets were in the sockhash meanwhile, looked at ten times. */
  const socketsDuring = async (client: Place, server: string) => {
    const load = runWrk(client, `http://${server}/`, { connections, seconds: 2, body });
    const counts = new Set<number>();
    await sleep(500);
    for (let look = 0; look < 10; look++) {
      counts.add(countKeys(`${mda.pinDir}/sockets`));
      await sleep(100);
    }
    assert.equal((await load).errors, 0);
    return [...counts];
  };
  const untouched = { paired: 0, adopted: 0, messages: 0, bytes: 0, passed: {}, left: {} };

  const outward = await mda.during(async () => {
    assert.deepEqual(await socketsDuring(local, there), [0]);
  });
  const refused = { not_local: await connectionsOpened(hereNetns) };
  assert.ok(refused.not_local > connections);
  assert.deepEqual(outward, { ...untouched, refused });

  const inward = await mda.during(async () => {
    assert.deepEqual(await socketsDuring(remote, here), [0]);
  });
  assert.deepEqual(inward, { ...untouched, refused: {} });
  assert.equal(countKeys(`${mda.pinDir}/pairings`), 0);

  // The same look at connections that are local finds both ends of each.
  assert.deepEqual(await socketsDuring(local, here), [2 * connections]);
  await mda.stop();
});

function countKeys(pin: string): number {
  using map = BpfMap.openPinned(pin)!;
  return [...map.keys()].length;
}
