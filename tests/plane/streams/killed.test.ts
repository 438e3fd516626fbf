/** Ends that are closed with redirected bytes unread: TCP answers that with a reset (bpf/closing.h). */
import assert from "node:assert/strict";
import * as libc from "../../../src/host/libc/mod.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { Mda } from "../../lab/mda.ts";
import { accelerated } from "../../lab/streams/accelerated.ts";
import { assertSameAsTcp } from "../../lab/streams/programs.ts";

for (const family of [4, 6]) {
  for (const connections of [50, 500]) {
    Deno.test(`the clients of a worker that is killed before it has read all see a reset, ${connections} connections, IPv${family}`, async () => {
      await accelerated("killed", async (mda, cgroup) => {
        const { messages } = await mda.during(() =>
          assertSameAsTcp({ cgroup }, "killed", family, connections)
        );
        assert.ok(messages > connections, `${messages} messages were redirected`);
      });
    });
  }
}

Deno.test("where no process acts the stream ends within some seconds", async () => {
  await using cgroup = createCgroup("nobody");
  await using mda = await Mda.start({ cgroup, args: ["--no-adopt"] });
  using connection = (() => {
    using _inside = cgroup.enter();
    return connect();
  })();
  const { client, server } = connection;
  exchange(client, server);
  exchange(server, client);
  const { messages } = await mda.during(() => libc.send(client, new Uint8Array(1)));
  assert.equal(messages, 1);
  // What it has said last holds for some seconds more.
  await mda.crash();
  connection.closeServer();
  assert.ok(libc.poll(client, libc.POLLIN, 10_000));
  assert.equal(libc.recv(client, new Uint8Array(1)), 0);
});

/** A connection of this process. */
function connect(): Disposable & { client: number; server: number; closeServer(): void } {
  const type = libc.SOCK_STREAM | libc.SOCK_NONBLOCK;
  const listener = libc.socket(libc.AF_INET, type);
  libc.bind(listener, "127.0.0.1", 0);
  libc.listen(listener);
  const client = libc.socket(libc.AF_INET, type);
  libc.connect(client, "127.0.0.1", libc.localPort(listener));
  libc.poll(listener, libc.POLLIN, 2000);
  const server = libc.accept(listener, libc.SOCK_NONBLOCK);
  libc.close(listener);
  let open = true;
  const closeServer = () => {
    if (open) libc.close(server);
    open = false;
  };
  return { client, server, closeServer, [Symbol.dispose]: () => (closeServer(), libc.close(client)) };
}

function exchange(from: number, to: number): void {
  libc.send(from, new Uint8Array(1));
  assert.ok(libc.poll(to, libc.POLLIN, 2000));
  assert.equal(libc.recv(to, new Uint8Array(1)), 1);
}
