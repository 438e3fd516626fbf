import assert from "node:assert/strict";
import type { Cgroup } from "../../lab/cgroup.ts";
import { freePort } from "../../lab/servers.ts";
import { run, start } from "../../lab/program.ts";
import { accelerated } from "../../lab/streams/accelerated.ts";
import { assertSameAsTcp } from "../../lab/streams/programs.ts";
import { waitFor } from "../../lab/wait.ts";

for (const family of [4, 6]) {
  Deno.test(`what ends, half-closes or changes amid a stream loses nothing, IPv${family}`, async () => {
    await accelerated("leaving", async (mda, cgroup) => {
      const growth = await mda.during(async () => {
        await assertSameAsTcp({ cgroup }, "leaving", family, 100);
      });
      for (const why of ["blocking", "half_closed", "with_peer"]) {
        assert.ok(growth.left[why] > 0, `${why}: ${JSON.stringify(growth)}`);
      }
      assert.ok(growth.messages > 100_000, JSON.stringify(growth));
      await waitFor(
        "closed sockets to be forgotten",
        async () => (await mda.status()).connections.active === 0,
      );
    });
  });
}

const reader = `import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
listener.settimeout(10)
print("listens", flush=True)
stream = listener.accept()[0]
stream.settimeout(10)
while stream.recv(1 << 20): pass`;

const sender = `import socket, sys
stream = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
for _ in range(500): stream.sendall(bytes(1 << 16))
print("sent", flush=True)
sys.stdin.readline()`;

Deno.test("a reader of bulk that never sends leaves with its sender", async () => {
  await accelerated("bulk", async (mda, cgroup) => {
    const port = freePort();
    await using reading = startOn(0, cgroup, reader, port);
    await reading.says(/listens/);
    const growth = await mda.during(async () => {
      await using sending = startOn(1, cgroup, sender, port);
      await sending.says(/sent/);
      const sockets = `${mda.pinDir}/sockets`;
      await waitFor(
        "an empty sockhash",
        async () =>
          JSON.parse(await run({}, ["bpftool", "-j", "map", "dump", "pinned", sockets])).length === 0,
      );
      await sending.tell("enough");
      assert.equal((await sending.ended()).code, 0);
      assert.equal((await reading.ended()).code, 0);
    });
    assert.deepEqual([growth.paired, growth.left], [1, { bulk: 1, with_peer: 1 }]);
  });
});

function startOn(cpu: number, cgroup: Cgroup, script: string, port: number) {
  return start({ cgroup }, ["taskset", "-c", `${cpu}`, "python3", "-c", script, `${port}`], {
    listens: true,
  });
}
