/** Programs that wait in read(2), on either side: TCP's as before, which the counters say. */
import assert from "node:assert/strict";
import { createCgroup } from "../lab/cgroup.ts";
import { type Growth, Mda } from "../lab/mda.ts";
import { connectionsOpened, createNetns } from "../lab/netns.ts";
import { type Place, run } from "../lab/program.ts";
import { type Server, startServer } from "../lab/servers.ts";
import { asByDefault } from "./accelerated.ts";

const port = 5201;

interface Case {
  server: (place: Place) => Promise<Server>;
  client: (place: Place, server: Server) => Promise<void>;
  /** Why they stay on TCP. */
  refused: "blocking_client" | "blocking_listener";
}

const cases: Record<string, Case> = {
  "iperf3 is left to TCP": {
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
    refused: "blocking_client",
  },
  "socat is left to TCP": {
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
    refused: "blocking_client",
  },
  "Python's http.server is left to TCP, with Python's client": {
    server: startPython,
    async client(place) {
      // A timeout would make the socket non-blocking.
      const fetch = "import sys, urllib.request\n" +
        "for _ in range(20): print(len(urllib.request.urlopen(sys.argv[1]).read()))";
      const answer = await run(place, ["python3", "-c", fetch, `http://127.0.0.1:${port}/page`]);
      assert.equal(answer, "100000\n".repeat(20));
    },
    refused: "blocking_client",
  },
  "Python's http.server is left to TCP, with an event-driven client": {
    server: startPython,
    async client(place) {
      const fetchAll = `(async () => { for (let i = 0; i < 20; i++) {
        const answer = await fetch("http://127.0.0.1:${port}/page");
        console.log((await answer.text()).length); } })()`;
      assert.equal(await run(place, ["node", "-e", fetchAll]), "100000\n".repeat(20));
    },
    refused: "blocking_listener",
  },
};

function startPython(place: Place): Promise<Server> {
  const argv = ["python3", "-m", "http.server", "--bind", "127.0.0.1", `${port}`];
  return startServer(place, port, () => argv, () => ({ page: "x".repeat(100_000) }));
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
    const untouched: Growth = {
      paired: 0,
      adopted: 0,
      messages: 0,
      bytes: 0,
      passed: {},
      refused: { [refused]: connections },
      left: {},
    };
    assert.deepEqual(growth, untouched);
    await mda.stop();
  });
}
