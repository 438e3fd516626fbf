import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { run } from "../../lab/program.ts";
import { connecting } from "../../lab/talking.ts";
import { accelerated } from "../../lab/streams/accelerated.ts";

/**
 * Segments that a sender has on their way to a reader that has rested for a while, each time. None is: what TCP has sent was taken,
 * and the rest waits for the window, which the reader opens at once. One that was thrown away would be sent again by a timer that
 * has doubled meanwhile. The window is as large as it gets: a stream came before.
 */
const rest = `${connecting}import struct
receives = int(sys.argv[1])
if receives: listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
client, server = connect()
def talk():
    for _ in range(20):
        for one, other in (client, server), (server, client):
            one.send(b"x")
            select.select([other], [], [], 10)
            other.recv(10)
def read(count):
    while count > 0:
        assert select.select([server], [], [], 10)[0], count
        count -= len(server.recv(1 << 20))
def send_all():
    sent, full = 0, 0
    while full < 30:
        try:
            sent += client.send(bytes(8192))
            full = 0
        except BlockingIOError:
            full += 1
            time.sleep(0.01)
    return sent
talk()
time.sleep(1)
on_their_way = []
for turn in range(3):
    talk()
    for _ in range(2000):
        read(client.send(bytes(8192)))
    talk()
    sent = send_all()
    time.sleep(1)
    on_their_way.append(struct.unpack_from("I", client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 24)[0])
    read(sent)
print(on_their_way)`;

for (const receives of [0, 4096, 190_000]) {
  Deno.test(`nothing that is sent to a reader that rests is thrown away, SO_RCVBUF ${receives}`, async () => {
    const command = ["python3", "-c", rest, `${receives}`];
    await using plain = createCgroup("rested");
    assert.equal(await run({ cgroup: plain }, command), "[0, 0, 0]\n");
    await accelerated("rested", async (mda, cgroup) => {
      const growth = await mda.during(async () => {
        assert.equal(await run({ cgroup }, command), "[0, 0, 0]\n");
      });
      assert.ok(growth.messages > 0 && growth.passed.full > 0, JSON.stringify(growth));
    });
  });
}
