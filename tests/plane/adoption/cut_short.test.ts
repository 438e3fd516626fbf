/** An adoption whose process was killed between its two ends. */
import assert from "node:assert/strict";
import { u64 } from "../../../src/libbpf/struct.ts";
import * as libc from "../../../src/host/libc/mod.ts";
import { openPinnedMap } from "../../../src/state/pins.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { Mda, runMda } from "../../lab/mda.ts";
import { waitFor } from "../../lab/wait.ts";

/** A connection of this process; closing it closes both ends. */
function connect(): Disposable & { client: number; server: number } {
  const type = libc.SOCK_STREAM | libc.SOCK_NONBLOCK;
  const listener = libc.socket(libc.AF_INET, type);
  libc.bind(listener, "127.0.0.1", 0);
  libc.listen(listener);
  const client = libc.socket(libc.AF_INET, type);
  libc.connect(client, "127.0.0.1", libc.localPort(listener));
  libc.poll(listener, libc.POLLIN, 2000);
  const server = libc.accept(listener, libc.SOCK_NONBLOCK);
  libc.close(listener);
  return { client, server, [Symbol.dispose]: () => [client, server].forEach(libc.close) };
}

function exchange({ client, server }: ReturnType<typeof connect>): void {
  for (const [from, to] of [[client, server], [server, client]]) {
    libc.send(from, new Uint8Array([1, 2, 3]));
    assert.ok(libc.poll(to, libc.POLLIN, 2000));
    assert.equal(libc.recv(to, new Uint8Array(10)), 3);
  }
}

for (const next of ["run", "disable"]) {
  Deno.test(`what an adoption that was cut short has left is mended by mda ${next}`, async () => {
    await using cgroup = createCgroup("cut-short");
    using connection = (() => {
      using _inside = cgroup.enter();
      return connect();
    })();
    await using killed = await Mda.start({ cgroup, args: ["--no-adopt"] });
    await killed.crash();
    {
      using sockets = openPinnedMap(killed.pinDir, "sockets")!;
      const cookie = libc.getSocketOption(connection.client, libc.SOL_SOCKET, libc.SO_COOKIE);
      sockets.update(u64(cookie << 1n), u64(connection.client));
    }
    exchange(connection);
    if (next === "disable") {
      const { stdout } = await runMda(["--pin-dir", killed.pinDir, "disable"]);
      assert.equal(stdout, "disabled; every connection is on TCP\n");
    } else {
      await using mda = await Mda.start({ cgroup, pinDir: killed.pinDir });
      await waitFor("adoption", async () => (await mda.status()).connections.active === 1);
      // After a second without one, a message goes through TCP (bpf/refresh.h).
      exchange(connection);
      assert.equal((await mda.during(() => exchange(connection))).messages, 2);
      await mda.stop();
    }
    exchange(connection);
  });
}
