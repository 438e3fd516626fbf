/** What changes in mid-stream is seen by the next message, however many were redirected before. */
import assert from "node:assert/strict";
import { BpfMap } from "../../../src/libbpf/map.ts";
import { asIntended } from "../../lab/mda.ts";
import { run } from "../../lab/program.ts";
import { accelerated } from "../../lab/streams/accelerated.ts";
import { connecting } from "../../lab/talking.ts";
import { waitFor } from "../../lab/wait.ts";

/** Questions and answers, then a single message after something has changed. */
const change = `${connecting}client, server = connect()
def send(one, other):
    one.send(b"a small message")
    select.select([other], [], [], 10)
    assert other.recv(100) == b"a small message"
for i in range(50):
    send(client, server)
    send(server, client)
exec(sys.argv[1])
send(client, server)
time.sleep(0.2)`;

Deno.test("a client that was made blocking in mid-stream leaves with its next message", async () => {
  await accelerated("made-blocking", async (mda, cgroup) => {
    // Within less time than anything that is looked for now and then.
    const growth = await mda.during(() =>
      run({ cgroup }, ["python3", "-c", change, "client.setblocking(True)"])
    );
    assert.ok(growth.messages >= 90 && growth.messages <= 100, JSON.stringify(growth));
    assert.ok(growth.left.blocking > 0, JSON.stringify(growth));
  });
});

Deno.test("a message larger than half of what its reader has set passes, though nothing is unread", async () => {
  const large = `server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
for i in range(20):
    client.send(b"x" * 6000)
    got = 0
    while got < 6000:
        select.select([server], [], [], 10)
        got += len(server.recv(6000))`;
  await accelerated("large", async (mda, cgroup) => {
    const growth = await mda.during(() => run({ cgroup }, ["python3", "-c", change, large]));
    assert.ok(growth.passed.full + (growth.passed.unread ?? 0) >= 20, JSON.stringify(growth));
  });
});

Deno.test("a client whose handshake is forgotten before it sends leaves, and is adopted", async () => {
  await accelerated("forgotten", async (mda, cgroup) => {
    using _inside = cgroup.enter();
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    using client = await Deno.connect({ port: (listener.addr as Deno.NetAddr).port });
    using server = await listener.accept();
    {
      using pairings = BpfMap.openPinned(`${mda.pinDir}/pairings`)!;
      const keys = [...pairings.keys()];
      assert.equal(keys.length, 1);
      pairings.delete(keys[0]);
    }
    const byte = new Uint8Array(1);
    const trip = async () => {
      for (const [one, other] of [[client, server], [server, client]]) {
        await one.write(byte);
        assert.equal(await other.read(byte), 1);
      }
    };
    await waitFor("it to leave and to be adopted", async () => {
      for (let i = 0; i < 5; i++) await trip();
      const { left, connections: { adopted } } = await mda.status();
      return left.unpaired > 0 && adopted === 1;
    });
    const growth = await mda.during(async () => {
      for (let i = 0; i < 50; i++) await trip();
    });
    assert.ok(asIntended(growth) >= 95, JSON.stringify(growth));
  });
});
