import { sleep } from "../../lab/wait.ts";
import { compare } from "./compared.ts";
import { type End, Pair } from "./ends.ts";
import type { Cgroup } from "../../lab/cgroup.ts";

/** Time in which the other end fills what there is to fill. */
const stoppedMs = 300;

Deno.test("an end that is stopped, or frozen with its cgroup, goes on where it was", async () => {
  await compare("stopped", async (host) => {
    const cgroups = { client: host.below("client"), server: host.below("server") };
    await using pair = await Pair.open(host, {
      client: { cgroup: cgroups.client },
      server: { cgroup: cgroups.server },
    });
    await pair.flows();
    for (const side of ["client", "server"] as const) {
      // Up to the window, and up to the buffers.
      for (const window of [30_000, 100_000_000]) {
        const other = side === "client" ? pair.server : pair.client;
        await other.tell(`window ${window}`);
        await whileStopped(pair[side]);
        await pair.flows();
        await whileFrozen(cgroups[side]);
        await pair.flows();
        await other.tell("window 30000");
      }
    }
    await pair.finish();
    return pair.noted().map(({ client, server }) => [client, server]);
  });
});

async function whileStopped(end: End): Promise<void> {
  Deno.kill(end.pid, "SIGSTOP");
  await sleep(stoppedMs);
  Deno.kill(end.pid, "SIGCONT");
}

async function whileFrozen(cgroup: Cgroup): Promise<void> {
  Deno.writeTextFileSync(`${cgroup.path}/cgroup.freeze`, "1");
  await sleep(stoppedMs);
  Deno.writeTextFileSync(`${cgroup.path}/cgroup.freeze`, "0");
}
