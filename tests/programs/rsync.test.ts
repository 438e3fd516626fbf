import assert from "node:assert/strict";
import { assertPairedOrBlocking } from "../lab/mda.ts";
import { connectionsOpened } from "../lab/netns.ts";
import { Payload, sha256Of } from "../lab/payload.ts";
import { run } from "../lab/program.ts";
import { startServer } from "../lab/servers.ts";
import { randomBytes } from "../lab/stream.ts";
import { accelerated } from "./accelerated.ts";

Deno.test("rsync's daemon takes and returns a tree with every byte", async () => {
  await using payload = await Payload.create(50);
  const tree = `${payload.directory}/tree`;
  await Deno.mkdir(tree);
  for (let file = 0; file < 500; file++) {
    await Deno.writeFile(`${tree}/${file}`, randomBytes(Math.floor(Math.random() * 20_000)));
  }
  await Deno.rename(payload.path, `${tree}/large`);
  await accelerated("mda run", "rsync", async ({ place, during }) => {
    const configuration = (directory: string) => `
use chroot = no
uid = root
gid = root
[files]
path = ${directory}
read only = no
`;
    await using rsync = await startServer(
      place,
      873,
      () => ["rsync", "--daemon", "--no-detach", "--address=127.0.0.1", "--config=rsyncd.conf"],
      (directory) => ({ "rsyncd.conf": configuration(directory) }),
    );
    const growth = await during(async () => {
      await run(place, ["rsync", "-a", `${tree}/`, "rsync://127.0.0.1/files/there/"]);
      await run(place, ["rsync", "-a", "rsync://127.0.0.1/files/there/", `${payload.directory}/back/`]);
    });
    await run({}, ["diff", "-r", tree, `${rsync.directory}/there`]);
    await run({}, ["diff", "-r", tree, `${payload.directory}/back`]);
    assert.equal(await sha256Of(`${payload.directory}/back/large`), payload.sha256);
    // Up to version 3.2 both ends of it block.
    assertPairedOrBlocking(growth, await connectionsOpened(place.netns));
  });
});
