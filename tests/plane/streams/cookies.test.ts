import assert from "node:assert/strict";
import { createNetns, type NetworkNamespace } from "../../lab/netns.ts";
import { run } from "../../lab/program.ts";
import { redirectedShare } from "../../lab/mda.ts";
import { accelerated } from "../../lab/streams/accelerated.ts";
import { runProgram } from "../../lab/streams/programs.ts";

const connections = 500;

for (const family of [4, 6]) {
  for (const kind of ["ordinary", "defer"]) {
    Deno.test(`connections answered with SYN cookies pair, ${kind} listener, IPv${family}`, async () => {
      await using netns = await createNetns("cookies");
      await netns.sysctl("net.ipv4.tcp_syncookies", 2);
      await accelerated("cookies", async (mda, cgroup) => {
        const growth = await mda.during(async () => {
          await runProgram({ cgroup, netns }, "order", family, kind, connections, 20);
        });
        // A client's last ACK and its first data count twice when two CPUs look at them at once (cookie_v6_check()).
        assert.ok(await cookiesReceived(netns) >= connections);
        assert.equal(growth.paired, connections);
        assert.ok(redirectedShare(growth) > 0.5, JSON.stringify(growth));
      });
    });
  }
}

/** Connections that a cookie has completed, since the namespace was made. */
async function cookiesReceived(netns: NetworkNamespace): Promise<number> {
  const [names, values] = (await run({ netns }, ["grep", "^TcpExt:", "/proc/self/net/netstat"])).split("\n");
  return Number(values.split(" ")[names.split(" ").indexOf("SyncookiesRecv")]);
}
