import assert from "node:assert/strict";
import { accelerated } from "../../lab/streams/accelerated.ts";
import { assertSameAsTcp } from "../../lab/streams/programs.ts";

const waits = {
  exchange: "wait as on TCP",
  silence: "wait as on TCP before the first byte",
};

for (const [kind, what] of Object.entries(waits)) {
  Deno.test(`sockets in blocking mode are left to TCP and ${what}`, async () => {
    await accelerated("blocking", async (mda, cgroup) => {
      const { paired, messages, refused } = await mda.during(async () => {
        await assertSameAsTcp({ cgroup }, "waits", 4, "blocking", kind);
      });
      assert.deepEqual({ paired, messages }, { paired: 0, messages: 0 });
      assert.deepEqual(Object.keys(refused), ["blocking_client"]);
    });
  });
}

const modes = {
  connected: { families: [4, 6], ends: "clients that connect in non-blocking mode and are then switched" },
  accepted: { families: [4], ends: "servers that accept in blocking mode from an event-driven listener" },
  both: { families: [6], ends: "clients and servers that are in blocking mode after the handshake" },
};

for (const [mode, { families, ends }] of Object.entries(modes)) {
  for (const family of families) {
    // Before their first byte they are still in the sockhash: docs/limits.md.
    Deno.test(`${ends} ${waits.exchange}, IPv${family}`, async () => {
      await accelerated(mode, async (mda, cgroup) => {
        const { paired, refused } = await mda.during(() =>
          assertSameAsTcp({ cgroup }, "waits", family, mode, "exchange")
        );
        // Once it is known that they turn blocking, the next ones do not enter.
        assert.ok(refused.turns_blocking > paired, JSON.stringify({ paired, refused }));
      });
    });
  }
}
