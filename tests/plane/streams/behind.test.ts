/** Readers on edges that were full, so that TCP has bytes behind redirected ones that they have not read, and will not be told of. */
import assert from "node:assert/strict";
import { BpfMap } from "../../../src/libbpf/map.ts";
import { readStruct } from "../../../src/libbpf/struct.ts";
import { layouts } from "../../../src/generated/layouts.ts";
import type { Mda } from "../../lab/mda.ts";
import { run, start } from "../../lab/program.ts";
import { accelerated } from "../../lab/streams/accelerated.ts";
import { connecting } from "../../lab/talking.ts";
import { waitFor } from "../../lab/wait.ts";

/**
 * `fill` sends more than a reader takes, but no more than TCP takes for it: nothing comes later that would wake it. A read that is short
 * is the last until the next edge.
 */
const behind = `${connecting}import os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
listener.listen(100)
edges = select.epoll()
def talk(client, server):
    for one, other in (client, server), (server, client):
        one.send(b"x")
        waits = select.poll()
        waits.register(other, select.POLLIN)
        assert waits.poll(10000) and other.recv(10)
def become_known():
    ends = connect()
    for _ in range(200): talk(*ends)
    time.sleep(0.5)
def fill(client):
    sent = 0
    for _ in range(12):
        try: sent += client.send(bytes(700))
        except BlockingIOError: break
    return sent
def read(expected):
    end = time.time() + 10
    while any(expected.values()) and time.time() < end:
        for fd, _ in edges.poll(1):
            while True:
                try: got = len(os.read(fd, 65536))
                except BlockingIOError: break
                expected[fd] -= got
                if got < 65536: break
    stand_still = sum(left != 0 for left in expected.values())
    assert not stand_still, f"{stand_still} of {len(expected)} readers stand still"
become_known()
`;

/** Of every reader, whether it waits to be helped or is looked for. */
function noted(mda: Mda): number {
  using wanted = BpfMap.openPinned(`${mda.pinDir}/edges_wanted`)!;
  using readers = BpfMap.openPinned(`${mda.pinDir}/readers`)!;
  return [...wanted.keys(), ...readers.keys()].length;
}

/** Of those that mda has looked at. */
function found(mda: Mda): number {
  using readers = BpfMap.openPinned(`${mda.pinDir}/readers`)!;
  const all = [...readers.keys()].map((key) => readStruct(layouts, "reader", readers.lookup(key)!));
  return all.filter(({ pid, unread_bytes }) => pid !== 0 && unread_bytes > 0n).length;
}

Deno.test("thousands of readers that are full at once all read on", async () => {
  const all = `${behind}
pairs = [connect() for _ in range(2500)]
for client, server in pairs: talk(client, server)
expected = {}
for client, server in pairs:
    edges.register(server, select.EPOLLIN | select.EPOLLET)
    expected[server.fileno()] = fill(client)
time.sleep(2)
read(expected)`;
  await accelerated("behind", async (mda, cgroup) => {
    const growth = await mda.during(() => run({ cgroup }, ["python3", "-c", all]));
    assert.ok(growth.passed.full > 2000, JSON.stringify(growth));
    await waitFor("nobody to be looked after", () => noted(mda) === 0);
  });
});

Deno.test("a reader that was full before it was accepted reads on", async () => {
  const accepted = `${behind}
for turn in range(5):
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(listener.getsockname())
    assert select.select([listener], [client], [], 10)[0]
    sent = fill(client)
    time.sleep(0.5)
    server = listener.accept()[0]
    server.setblocking(False)
    edges.register(server, select.EPOLLIN | select.EPOLLET)
    read({server.fileno(): sent})
    time.sleep(0.1)`;
  await accelerated("unaccepted", async (mda, cgroup) => {
    const growth = await mda.during(() => run({ cgroup }, ["python3", "-c", accepted]));
    assert.ok(growth.passed.full > 0, JSON.stringify(growth));
  }, ["--sockets", "all"]);
});

Deno.test("a reader that is on its way to another process when it has read reads on", async () => {
  const passed = `${behind}
client, server = connect()
talk(client, server)
one, other = socket.socketpair()
edges.register(server, select.EPOLLIN | select.EPOLLET)
expected = fill(client)
assert edges.poll(10)
expected -= len(server.recv(65536))
# Only the message has it while mda looks.
socket.send_fds(one, [b"x"], [server.fileno()])
server.close()
time.sleep(2.5)
server = socket.socket(fileno=socket.recv_fds(other, 1, 1)[1][0])
while expected:
    assert edges.poll(10), f"the reader stands still, {expected} bytes are missing"
    expected -= len(server.recv(65536))`;
  await accelerated("passed", async (mda, cgroup) => {
    await run({ cgroup }, ["python3", "-c", passed]);
    await waitFor("nobody to be looked after", () => noted(mda) === 0);
  });
});

Deno.test("a reader that is full again and again is woken as soon as it has read", async () => {
  const again = `${behind}
client, server = connect()
talk(client, server)
edges.register(server, select.EPOLLIN | select.EPOLLET)
edges.poll(0)
def turn():
    sent = fill(client)
    time.sleep(0.005)
    read({server.fileno(): sent})
for _ in range(5): turn()
began = time.time()
for _ in range(40): turn()
waited = time.time() - began
# Looks that come each tenth of a second would make it two seconds and more.
assert waited < 1.2, waited`;
  await accelerated("again", async (mda, cgroup) => {
    const growth = await mda.during(() => run({ cgroup }, ["python3", "-c", again]));
    assert.ok(growth.passed.full > 20, JSON.stringify(growth));
  });
});

Deno.test("a reader that rests keeps no other waiting", async () => {
  const others = `${behind}
resting = connect()
talk(*resting)
fill(resting[0])
waited = 0
for _ in range(3):
    # Until it is looked at seldom.
    time.sleep(1.7)
    client, server = connect()
    talk(client, server)
    edges.register(server, select.EPOLLIN | select.EPOLLET)
    edges.poll(0)
    sent = fill(client)
    began = time.time()
    read({server.fileno(): sent})
    waited += time.time() - began
    edges.unregister(server)
# As soon as it has read, and not when the one that rests is looked at again.
assert waited < 2, waited`;
  await accelerated("resting", async (mda, cgroup) => {
    const growth = await mda.during(() => run({ cgroup }, ["python3", "-c", others]));
    assert.ok(growth.passed.full > 1, JSON.stringify(growth));
  });
});

Deno.test("readers that end while they are full are forgotten", async () => {
  const killed = `${behind}
pairs = [connect() for _ in range(50)]
for client, server in pairs: talk(client, server)
for client, server in pairs: fill(client)
print("full", flush=True)
time.sleep(60)`;
  await accelerated("forgotten-readers", async (mda, cgroup) => {
    await using program = start({ cgroup }, ["python3", "-c", killed]);
    await waitFor("readers that are looked after", () => found(mda) >= 50);
    program.kill("SIGKILL");
    await waitFor("nobody to be looked after", () => noted(mda) === 0);
  });
});
