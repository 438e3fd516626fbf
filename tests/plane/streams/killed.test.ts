/** Ends that are closed with redirected bytes unread: TCP answers that with a reset (bpf/closing.h). */
import assert from "node:assert/strict";
import * as libc from "../../../src/host/libc/mod.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { Mda } from "../../lab/mda.ts";
import { OwnConnection } from "../../lab/own_connection.ts";
import { accelerated } from "../../lab/streams/accelerated.ts";
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

Deno.test("where no process acts the stream ends within some seconds", async () => {
  await using cgroup = createCgroup("nobody");
  await using mda = await Mda.start({ cgroup, args: ["--no-adopt"] });
  using connection = OwnConnection.open(cgroup);
  const { client } = connection;
  connection.exchange();
  const { messages } = await mda.during(() => libc.send(client, new Uint8Array(1)));
  assert.equal(messages, 1);
  // What it has said last holds for some seconds more.
  await mda.crash();
  connection.close("server");
  assert.ok(libc.poll(client, libc.POLLIN, 10_000));
  assert.equal(libc.recv(client, new Uint8Array(1)), 0);
});
