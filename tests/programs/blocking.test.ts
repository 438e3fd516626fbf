/** Programs that wait in read(2), on either side: TCP's as before, which the counters say. */
import assert from "node:assert/strict";
import { createCgroup } from "../lab/cgroup.ts";
import { assertPairedOrBlocking, Mda } from "../lab/mda.ts";
import { connectionsOpened, createNetns } from "../lab/netns.ts";
import { type Place, run } from "../lab/program.ts";
import { type Server, startServer } from "../lab/servers.ts";
import { asByDefault } from "./accelerated.ts";

const port = 5201;

interface Case {
  server: (place: Place) => Promise<Server>;
  client: (place: Place, server: Server) => Promise<void>;
  /** Why all stay on TCP, where that is not for a version of the programs to say. */
  refused?: "blocking_client" | "blocking_listener";
}

const cases: Record<string, Case> = {
  "iperf3, where it blocks, is left to TCP": {
    server: (place) => startServer(place, port, () => ["iperf3", "-s", "-p", `${port}`]),
    async client(place) {
      const text = await run(place, [
        "iperf3",
        "-c",
        "127.0.0.1",
        "-p",
        `${port}`,
        "-n",
        "64M",
        "-P",
        "2",
        "-J",
      ]);
      const { sum_sent, sum_received } = JSON.parse(text).end;
      assert.ok(sum_sent.bytes >= 64 << 20);
      // What is on its way when the client says that it is done is not counted.
      assert.ok(sum_received.bytes >= 32 << 20);
    },
  },
  "socat, where it blocks, is left to TCP": {
    server: (place) =>
      startServer(place, port, () => ["socat", `TCP-LISTEN:${port},reuseaddr,fork`, "EXEC:sha256sum"]),
    async client(place, { directory }) {
      const file = `${directory}/bytes`;
      await run({}, ["dd", "if=/dev/urandom", `of=${file}`, "bs=1M", "count=8"]);
      const answer = await run(place, [
        "socat",
        "-t10",
        `OPEN:${file},rdonly!!STDOUT`,
        `TCP:127.0.0.1:${port}`,
      ]);
      assert.equal(answer.split(" ")[0], (await run({}, ["sha256sum", file])).split(" ")[0]);
    },
  },
  "Python's http.server, where it blocks, is left to TCP, with Python's client": {
    server: startPython,
    async client(place) {
      // A timeout would make the socket non-blocking.
      const fetch = "import sys, urllib.request\n" +
        "for _ in range(20): print(len(urllib.request.urlopen(sys.argv[1]).read()))";
      const answer = await run(place, ["python3", "-c", fetch, `http://127.0.0.1:${port}/page`]);
      assert.equal(answer, "100000\n".repeat(20));
    },
  },
  "Python's http.server, where it blocks, is left to TCP, with an event-driven client": {
    server: startPython,
    async client(place) {
      const fetchAll = `(async () => { for (let i = 0; i < 20; i++) {
        const answer = await fetch("http://127.0.0.1:${port}/page");
        console.log((await answer.text()).length); } })()`;
      assert.equal(await run(place, ["node", "-e", fetchAll]), "100000\n".repeat(20));
    },
  },
  "a client and a server that block are left to TCP": {
    server: startEcho,
    async client(place) {
      const exchange = `import socket
for _ in range(20):
    stream = socket.create_connection(("127.0.0.1", ${port}))
    stream.sendall(b"hello")
    stream.shutdown(socket.SHUT_WR)
    print(b"".join(iter(lambda: stream.recv(100), b"")).decode())`;
      assert.equal(await run(place, ["python3", "-c", exchange]), "hello\n".repeat(20));
    },
    refused: "blocking_client",
  },
  "an event-driven client of a server that blocks is left to TCP": {
    server: startEcho,
    async client(place) {
      const exchange = `const { connect } = require("node:net");
for (let i = 0; i < 20; i++) {
  let text = "";
  const socket = connect({ port: ${port}, host: "127.0.0.1" });
  socket.on("data", (bytes) => (text += bytes)).on("end", () => console.log(text)).end("hello");
}`;
      assert.equal(await run(place, ["node", "-e", exchange]), "hello\n".repeat(20));
    },
    refused: "blocking_listener",
  },
};

function startPython(place: Place): Promise<Server> {
  const argv = ["python3", "-m", "http.server", "--bind", "127.0.0.1", `${port}`];
  return startServer(place, port, () => argv, () => ({ page: "x".repeat(100_000) }));
}

/** Sends back what it gets, by sockets as Python makes them: in blocking mode. */
function startEcho(place: Place): Promise<Server> {
  const serve = `import socket
listener = socket.create_server(("127.0.0.1", ${port}))
while True:
    with listener.accept()[0] as stream:
        while received := stream.recv(100): stream.sendall(received)`;
  return startServer(place, port, () => ["python3", "-c", serve]);
}

for (const [name, { server, client, refused }] of Object.entries(cases)) {
  Deno.test(name, async () => {
    await using cgroup = createCgroup("blocking");
    await using netns = await createNetns("blocking");
    await using mda = await Mda.start({ cgroup, args: asByDefault });
    const place = { cgroup, netns };
    await using running = await server(place);
    const growth = await mda.during(() => client(place, running));
    const connections = await connectionsOpened(netns);
    assert.ok(connections > 0);
    assertPairedOrBlocking(growth, connections);
    if (refused) assert.deepEqual(growth.refused, { [refused]: connections });
    await mda.stop();
  });
}
