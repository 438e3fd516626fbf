/** An adoption whose process was killed between its two ends. */
import assert from "node:assert/strict";
import { u64 } from "../../../src/libbpf/struct.ts";
import * as libc from "../../../src/host/libc/mod.ts";
import { openPinnedMap } from "../../../src/state/pins.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { Mda, runMda } from "../../lab/mda.ts";
import { OwnConnection } from "../../lab/own_connection.ts";
import { waitFor } from "../../lab/wait.ts";

for (const next of ["run", "disable"]) {
  Deno.test(`what an adoption that was cut short has left is mended by mda ${next}`, async () => {
    await using cgroup = createCgroup("cut-short");
    using connection = OwnConnection.open(cgroup);
    await using killed = await Mda.start({ cgroup, args: ["--no-adopt"] });
    await killed.crash();
    {
      using sockets = openPinnedMap(killed.pinDir, "sockets")!;
      const cookie = libc.getSocketOption(connection.client, libc.SOL_SOCKET, libc.SO_COOKIE);
      sockets.update(u64(cookie << 1n), u64(connection.client));
    }
    connection.exchange();
    if (next === "disable") {
      const { stdout } = await runMda(["--pin-dir", killed.pinDir, "disable"]);
      assert.equal(stdout, "disabled; every connection is on TCP\n");
    } else {
      await using mda = await Mda.start({ cgroup, pinDir: killed.pinDir });
      await waitFor("adoption", async () => (await mda.status()).connections.active === 1);
      // After a second without one, a message goes through TCP (bpf/refresh.h).
      connection.exchange();
      assert.equal((await mda.during(() => connection.exchange())).messages, 2);
      await mda.stop();
    }
    connection.exchange();
  });
}
