/** Ends that are closed with redirected bytes unread: TCP answers that with a reset (bpf/closing.h). */
import assert from "node:assert/strict";
import * as libc from "../../../src/host/libc/mod.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { Mda } from "../../lab/mda.ts";
import { run } from "../../lab/program.ts";
import { OwnConnection } from "../../lab/own_connection.ts";
import { accelerated } from "../../lab/streams/accelerated.ts";
import { waitFor } from "../../lab/wait.ts";
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

/** A server answers whoever asks, until it is told to rest; with questions of thousands of clients unread it is killed. */
const thousands = `import os, resource, select, signal, socket, time
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
listener.setblocking(False)
def serve():
    events = select.epoll()
    events.register(listener, select.EPOLLIN)
    accepted = []
    while True:
        for fd, _ in events.poll():
            if fd == listener.fileno():
                accepted.append(listener.accept()[0])
                accepted[-1].setblocking(False)
                events.register(accepted[-1], select.EPOLLIN)
            elif os.read(fd, 100) == b"rest": time.sleep(100)
            else: os.write(fd, b"answer")
def ready(end, event):
    waits = select.poll()
    waits.register(end, event)
    assert waits.poll(10000)
def connect():
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(listener.getsockname())
    ready(client, select.POLLOUT)
    return client
def ask(client):
    client.send(b"question")
    ready(client, select.POLLIN)
    assert client.recv(10) == b"answer"
server = os.fork()
if not server: serve()
first = connect()
for _ in range(200): ask(first)
time.sleep(0.5)
clients = [connect() for _ in range(6000)]
for _ in range(2):
    for client in clients: ask(client)
first.send(b"rest")
time.sleep(0.3)
for client in clients: client.send(b"question")
time.sleep(0.3)
os.kill(server, signal.SIGKILL)
ends = 0
for client in clients:
    ready(client, select.POLLIN)
    try: ends += client.recv(10) == b""
    except ConnectionResetError: pass
assert not ends, f"{ends} of {len(clients)} see the end of the stream"`;

Deno.test("the clients of a program that is killed with thousands of connections all see a reset", async () => {
  await accelerated("killed-thousands", async (mda, cgroup) => {
    const growth = await mda.during(() => run({ cgroup }, ["python3", "-c", thousands]));
    assert.ok(growth.messages > 6000, JSON.stringify(growth));
  });
});

Deno.test("where no process acts the stream ends within some seconds", async () => {
  await using cgroup = createCgroup("nobody");
  await using mda = await Mda.start({ cgroup, args: ["--no-adopt"] });
  using connection = OwnConnection.open(cgroup);
  const { client, server } = connection;
  // TCP carries a message when a second has passed since the last, as it may on a busy machine.
  await waitFor("a message that is redirected", async () => {
    connection.exchange();
    const { messages } = await mda.during(() => libc.send(client, new Uint8Array(1)));
    if (messages === 0 && libc.poll(server, libc.POLLIN, 2000)) libc.recv(server, new Uint8Array(1));
    return messages > 0;
  });
  // What it has said last holds for some seconds more.
  await mda.crash();
  connection.close("server");
  assert.ok(libc.poll(client, libc.POLLIN, 10_000));
  assert.equal(libc.recv(client, new Uint8Array(1)), 0);
});
