/** Another sockops program on the cgroup, which asks for other callbacks than mda does. */
import assert from "node:assert/strict";
import { openObject } from "../../../src/libbpf/object.ts";
import { u32 } from "../../../src/libbpf/struct.ts";
import { openCgroup } from "../../../src/host/cgroup.ts";
import { compileFixture } from "../bpf/compile.ts";
import {
  differences,
  linesOf,
  openSequences,
  runSequences,
  type Some,
} from "../../differential/sequences.ts";
import { type Cgroup, createCgroup } from "../../lab/cgroup.ts";
import { Mda } from "../../lab/mda.ts";
import { start } from "../../lab/program.ts";
import { connecting } from "../../lab/talking.ts";
import { waitFor } from "../../lab/wait.ts";

/** BPF_SOCK_OPS_STATE_CB_FLAG; bpf_sock_ops_cb_flags_set() takes away all that it is not told. */
const STATE_CB = 4;

interface Other extends Disposable {
  /** How often a socket's state has changed, as far as it was told. */
  statesChanged(): bigint;
}

/** Attaches one. */
function attachOther(cgroup: Cgroup, callbacks: number, verdict: number): Other {
  const object = openObject(compileFixture("other_sockops"), "other", { rodata: { callbacks, verdict } });
  object.load();
  using directory = openCgroup(cgroup.path);
  const link = object.program("other").attachCgroup(directory.fd);
  return {
    statesChanged: () => new BigUint64Array(object.map("states_changed").lookup(u32(0))!.buffer)[0],
    [Symbol.dispose]() {
      link[Symbol.dispose]();
      object.close();
    },
  };
}

/** Without any callback a shutdown shows in a scan of descriptors, every two seconds. */
async function runPatiently(some: Some, cgroup?: Cgroup): Promise<string[]> {
  await using running = await openSequences(some, 3000, cgroup);
  await running.tell("go");
  return await linesOf(running);
}

/** Talks; then an end turns blocking, so that both leave. */
const talk = `${connecting}client, server = connect()
def read(end):
    select.select([end], [], [], 10)
    return len(end.recv(1 << 20))
for _ in range(20):
    client.send(b"small"); read(server); server.send(b"too"); read(client)
client.setblocking(True)
for _ in range(20): client.send(b"by TCP"); read(server)
print("left", flush=True)
sys.stdin.readline()`;

for (const order of ["before", "after"]) {
  for (const [callbacks, verdict] of [[STATE_CB, 0], [STATE_CB, 1], [0, 0]]) {
    const name =
      `another sockops program, attached ${order} mda's, that sets callbacks ${callbacks} and returns ${verdict}`;
    Deno.test(name, async () => {
      await using cgroup = createCgroup("callbacks");
      using before = order === "before" ? attachOther(cgroup, callbacks, verdict) : undefined;
      await using mda = await Mda.start({ cgroup });
      using after = order === "after" ? attachOther(cgroup, callbacks, verdict) : undefined;
      const growth = await mda.during(async () => {
        await using running = start({ cgroup }, ["python3", "-c", talk], { listens: true });
        await running.says(/left/, 30_000);
        await waitFor("an empty sockhash", async () => (await mda.status()).connections.active === 0);
        await running.tell("enough");
        assert.equal((await running.ended()).code, 0, running.stderr);
      });
      assert.ok(growth.messages > 0, JSON.stringify(growth));
      assert.deepEqual(growth.left, { blocking: 1, with_peer: 1 });
      const some = { first: 20_000, count: 100 };
      const run = callbacks === STATE_CB ? runSequences : runPatiently;
      assert.deepEqual(await differences(some, cgroup, run), []);
      const other = before ?? after!;
      if (callbacks === STATE_CB) {
        assert.ok(other.statesChanged() > 0n, "its own callbacks do not come any more");
      }
      await waitFor(
        "closed sockets to be forgotten",
        async () => (await mda.status()).connections.active === 0,
      );
      await mda.stop();
    });
  }
}
