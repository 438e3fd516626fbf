import assert from "node:assert/strict";
import { run } from "../../lab/program.ts";
import { connecting } from "../../lab/talking.ts";
import { accelerated } from "../../lab/streams/accelerated.ts";

/** Questions and answers for some seconds, without TCP_NODELAY. Which end is stamped reads from TCP. */
const talk = `${connecting}client, server = connect()
if sys.argv[1] == "client": client.setsockopt(socket.SOL_SOCKET, 29, 1)
if sys.argv[1] == "server": server.setsockopt(socket.SOL_SOCKET, 29, 1)
end = time.monotonic() + 3.5
while time.monotonic() < end:
    for one, other in (client, server), (server, client):
        one.send(b"a small message")
        select.select([other], [], [], 10)
        assert other.recv(100) == b"a small message"`;

Deno.test("a message that went through TCP holds no later one back", async () => {
  await accelerated("acknowledged", async (mda, cgroup) => {
    const { messages, passed } = await mda.during(() => run({ cgroup }, ["python3", "-c", talk, "neither"]));
    const seen = JSON.stringify({ messages, passed });
    assert.ok(passed.refresh >= 2 && messages > 100, seen);
    // Each would be one that TCP may hold back (tcp_nagle_check()) until an acknowledgement comes, which is put off.
    assert.equal(passed.unread ?? 0, 0, seen);
  });
});

for (const stamped of ["client", "server"]) {
  Deno.test(`messages to a ${stamped} that reads from TCP are acknowledged by its answers`, async () => {
    await accelerated("acknowledged", async (mda, cgroup) => {
      const { messages, passed } = await mda.during(() => run({ cgroup }, ["python3", "-c", talk, stamped]));
      const seen = JSON.stringify({ messages, passed });
      assert.ok(passed.option > 100, seen);
      assert.ok(passed.acknowledging > 0, seen);
    });
  });
}
