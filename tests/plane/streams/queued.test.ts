import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { run } from "../../lab/program.ts";
import { connecting } from "../../lab/talking.ts";
import { accelerated } from "../../lab/streams/accelerated.ts";

/** How many bytes can be sent to a reader that does not read. Python has splice(2) in its code. */
const queue = `${connecting}receives, sends = int(sys.argv[1]), int(sys.argv[2])
if receives: listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
def talk():
    client, server = connect()
    for _ in range(20):
        for one, other in (client, server), (server, client):
            one.send(b"x")
            select.select([other], [], [], 10)
            other.recv(10)
    return client, server
known = talk()
time.sleep(1)
client, server = talk()
if sends: client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sends)
queued, full = 0, 0
while full < 30:
    try:
        queued += client.send(bytes(4000))
        full = 0
    except BlockingIOError:
        full += 1
        time.sleep(0.01)
print(queued)`;

for (const [receives, sends] of [[0, 0], [4096, 4096], [0, 16384]]) {
  Deno.test(`a sender can queue half as much again as over TCP, SO_RCVBUF ${receives}, SO_SNDBUF ${sends}`, async () => {
    const command = ["python3", "-c", queue, `${receives}`, `${sends}`];
    await using plain = createCgroup("queued");
    const onTcp = Number(await run({ cgroup: plain }, command));
    await accelerated("queued", async (mda, cgroup) => {
      let underMda = 0;
      const growth = await mda.during(async () => {
        underMda = Number(await run({ cgroup }, command));
      });
      assert.ok(growth.messages > 0, JSON.stringify(growth));
      assert.ok(underMda <= 1.5 * onTcp, `${underMda} bytes, over TCP ${onTcp}`);
    }, ["--unknown", "learn"]);
  });
}
