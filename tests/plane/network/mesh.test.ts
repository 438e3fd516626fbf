import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { assertPairedOrBlocking, assertRedirected, Mda } from "../../lab/mda.ts";
import { Mesh, requestThrough } from "../../lab/mesh.ts";
import { connectionsOpened } from "../../lab/netns.ts";

for (const family of [4, 6] as const) {
  Deno.test(`every hop of a mesh whose sidecars start after mda is accelerated, IPv${family}`, async () => {
    await using cgroup = createCgroup("mesh");
    await using mesh = await Mesh.create({ cgroup, family });
    await using mda = await Mda.start({ cgroup });
    await mesh.startSidecars();
    const opened = async () => {
      const [byClientAndItsSidecar, byOtherSidecar] = await Promise.all(mesh.pods.map(connectionsOpened));
      return { byClientAndItsSidecar, byOtherSidecar };
    };

    const one = await mda.during(async () => assert.equal(await requestThrough(mesh), "hello world\n"));
    assert.equal(one.paired, 3);
    assert.deepEqual(await opened(), { byClientAndItsSidecar: 2, byOtherSidecar: 1 });

    const growth = await mda.during(async () => assert.equal((await mesh.load({ seconds: 2 })).errors, 0));
    assertRedirected(growth, 10_000);
    const { byClientAndItsSidecar, byOtherSidecar } = await opened();
    assert.ok(byClientAndItsSidecar > 2 + 32 && byOtherSidecar > 1, "no hop without new connections");
    // wrk opens one connection more in blocking mode, to see whether it can.
    assertPairedOrBlocking(growth, byClientAndItsSidecar + byOtherSidecar - one.paired);
    await mda.stop();
  });
}
