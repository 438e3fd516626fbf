import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { accelerated } from "../../lab/streams/accelerated.ts";
import { runProgram } from "../../lab/streams/programs.ts";
import { run } from "../../lab/program.ts";
import { connecting } from "../../lab/talking.ts";

const seconds = 4;

/** How many threads, with messages of so many bytes; how large the reader's buffer is, 0: the kernel's choice. */
const shapes = [
  { threads: 2, bytes: 4000, buffer: 262_144, reader: "poll" },
  { threads: 2, bytes: 4000, buffer: 262_144, reader: "edges" },
  { threads: 4, bytes: 3000, buffer: 262_144, reader: "poll" },
  { threads: 4, bytes: 3000, buffer: 32_768, reader: "poll" },
];

for (const { threads, bytes, buffer, reader } of shapes) {
  Deno.test(`${threads} threads that send on one socket to a slow reader (${reader}, ${buffer >> 10} KiB) keep their order`, async () => {
    await accelerated("together", async (mda, cgroup) => {
      const growth = await mda.during(async () => {
        await runProgram({ cgroup }, "together", threads, seconds, bytes, buffer, reader);
      });
      // It went from one queue to the other often enough to tell.
      assert.ok(growth.messages > 1000 && growth.passed.full > 10, JSON.stringify(growth));
    });
  });
}

Deno.test("threads that send on one socket are held by a reader that rests, as over TCP", async () => {
  const crowd = ["crowd", 4, 10, 1000, 65_536] as const;
  await using plain = createCgroup("crowd-plain");
  const overTcp = Number(await runProgram({ cgroup: plain }, ...crowd));
  await accelerated("crowd", async (mda, cgroup) => {
    const growth = await mda.during(async () => {
      const sent = Number(await runProgram({ cgroup }, ...crowd));
      assert.ok(sent < overTcp + 500_000, `${sent} bytes, ${overTcp} over TCP`);
    });
    assert.ok(growth.messages > 0 && growth.passed.full > 0, JSON.stringify(growth));
  });
});

/** How much a reader that rests is sent, its sender's other thread asleep in recv(2) of the same socket. */
const asleep = `${connecting}import threading
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
client, server = connect()
client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
for _ in range(200):
    for one, other in (client, server), (server, client):
        one.send(b"x")
        assert select.select([other], [], [], 10)[0] and other.recv(10)
client.setblocking(True)
sleeper = threading.Thread(target=client.recv, args=[10])
sleeper.start()
time.sleep(0.2)
sent, refused = 0, 0
while refused < 20:
    try: sent += client.send(bytes(1000), socket.MSG_DONTWAIT)
    except BlockingIOError:
        refused += 1
        time.sleep(0.01)
server.setblocking(True)
got = 0
while got < sent: got += len(server.recv(1 << 20))
server.send(b"the end")
sleeper.join()
print(sent)`;

Deno.test("a thread that is asleep in recv(2) does not count as one that sends", async () => {
  await accelerated("asleep", async (mda, cgroup) => {
    const growth = await mda.during(async () => {
      const sent = Number(await run({ cgroup }, ["python3", "-c", asleep]));
      // TCP alone takes its two buffers; beside a message that is on its way a full reader gets 4,096 more.
      assert.ok(sent < 1 << 20, `${sent} bytes`);
    });
    assert.ok(growth.messages > 0 && growth.passed.full > 0, JSON.stringify(growth));
  }, ["--sockets", "all"]);
});
