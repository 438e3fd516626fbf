/** ssh connects in blocking mode and sshd listens so; both are event-driven then, and what lasts is adopted. */
import assert from "node:assert/strict";
import { assertPairedOrBlocking } from "../lab/mda.ts";
import { connectionsOpened } from "../lab/netns.ts";
import { Payload, sha256Of } from "../lab/payload.ts";
import { run, start } from "../lab/program.ts";
import { Ssh } from "../lab/ssh.ts";
import { waitFor } from "../lab/wait.ts";
import { accelerated } from "./accelerated.ts";

const servers = {
  "sshd, which executes itself for each connection,": false,
  "sshd, which gets its connections from socat,": true,
};

for (const [name, inherits] of Object.entries(servers)) {
  Deno.test(`${name} gets and sends 100 MiB by scp`, async () => {
    await using payload = await Payload.create(100);
    await accelerated("mda run", "scp", async ({ place, during }) => {
      await using ssh = await Ssh.start(place, 22, { inherits });
      const there = `${ssh.server.directory}/there`;
      const back = `${ssh.server.directory}/back`;
      const growth = await during(async () => {
        await run(place, ["scp", ...ssh.options, payload.path, `root@127.0.0.1:${there}`]);
        await run(place, ["scp", ...ssh.options, `root@127.0.0.1:${there}`, back]);
      });
      assert.equal(await sha256Of(there), payload.sha256);
      assert.equal(await sha256Of(back), payload.sha256);
      assertPairedOrBlocking(growth, await connectionsOpened(place.netns));
    });
  });

  Deno.test(`${name} is accelerated in a session that lasts`, async () => {
    await accelerated("mda run", "ssh", async ({ place, status }) => {
      await using ssh = await Ssh.start(place, 22, { inherits });
      const argv = ["ssh", ...ssh.options, "root@127.0.0.1", "cat"];
      await using session = start(place, argv, { listens: true });
      let lines = 0;
      const echo = async () => {
        const line = `${++lines} ${crypto.randomUUID()}`;
        await session.tell(line);
        await session.says(new RegExp(`^${line}$`, "m"));
      };
      await waitFor("redirected messages", async () => {
        for (let count = 0; count < 20; count++) await echo();
        return (await status()).redirected.messages >= 200;
        // On a busy machine it takes a while from one scan for connections to the next.
      }, { timeoutMs: 60_000, everyMs: 50 });
      const { paired, adopted } = (await status()).connections;
      assert.equal(paired + adopted, 1);
      const said = session.stdout.trimEnd().split("\n");
      assert.deepEqual(
        said.map((line) => Number(line.split(" ")[0])),
        Array.from({ length: lines }, (_, i) => i + 1),
      );
    });
  });
}
