import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { kernelObjectsOf, waitUntilFreed } from "../../lab/kernel_objects.ts";
import { Mda, newPinDir } from "../../lab/mda.ts";
import { waitFor } from "../../lab/wait.ts";
import { Load } from "./load.ts";

const starts = 12;

Deno.test(`${starts} starts and stops under load break no connection, lose no byte and leave nothing`, async () => {
  await using cgroup = createCgroup("start-stop");
  await using load = await Load.start({ cgroup });
  const pinDir = newPinDir();
  for (let round = 1; round <= starts; round++) {
    await using mda = await Mda.start({ cgroup, pinDir });
    const objects = await kernelObjectsOf(pinDir);
    assert.ok(objects.programs.length >= 2 && objects.links.length === 1, JSON.stringify(objects));
    await waitFor("redirected messages", async () => (await mda.status()).redirected.messages > 100);
    const said = await mda.stop(round % 2 === 0 ? "SIGTERM" : "SIGINT");
    assert.match(said, /stopped: every connection is on TCP$/m);
    await waitUntilFreed(objects);
    load.check();
  }
  const { connections, bytes } = await load.stop();
  assert.ok(connections > starts && bytes > 10e6, `${connections} connections, ${bytes} bytes`);
});
