/** Services whose address a BPF program replaces in connect(2): nothing but the client ever sees it. */
import assert from "node:assert/strict";
import { openCgroup } from "../../../src/host/cgroup.ts";
import { openObject } from "../../../src/libbpf/object.ts";
import type { Connection } from "../../../src/views/connections.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { untilKnown } from "../../lab/known.ts";
import { assertRedirected, Mda, runMda } from "../../lab/mda.ts";
import { createNetns } from "../../lab/netns.ts";
import { run, start } from "../../lab/program.ts";
import { startRedis } from "../../lab/servers.ts";
import { asByDefault } from "../../programs/accelerated.ts";
import { compileFixture } from "../bpf/compile.ts";

const service = "10.96.0.1";

Deno.test("clients of a service whose address is replaced in connect(2) are accelerated, and rules know the backend's", async () => {
  await using cgroup = createCgroup("service");
  await using netns = await createNetns("service");
  using object = openObject(compileFixture("service"), "service");
  object.load();
  using directory = openCgroup(cgroup.path);
  using _connect = object.program("to_backend").attachCgroup(directory.fd);
  using _peer = object.program("to_service").attachCgroup(directory.fd);
  const place = { cgroup, netns };
  await using mda = await Mda.start({
    cgroup,
    args: asByDefault,
    config: `chain --ip 127.0.0.1/32 --port 6379 -j ACCEPT\n`,
  });
  await using _redis = await startRedis(place, { port: 6379 });
  const benchmark = ["redis-benchmark", "-h", service, "-q", "-c", "20", "-t", "ping_mbulk"];
  await untilKnown(mda, () => run(place, [...benchmark, "-n", "2000"]));
  await using load = start(place, [...benchmark, "-n", "100000000"]);
  const growth = await mda.during(async () => {
    const { stdout } = await runMda(["--pin-dir", mda.pinDir, "conns", "-o", "json", "--program", "redis-b"]);
    const connections: Connection[] = JSON.parse(stdout);
    assert.equal(connections.length, 20);
    for (const { client, server } of connections) {
      assert.equal(client.remote.address, "127.0.0.1");
      assert.equal(server.local.address, "127.0.0.1");
    }
  });
  await load.stop("SIGKILL");
  assertRedirected(growth, 100);
  await mda.stop();
});
