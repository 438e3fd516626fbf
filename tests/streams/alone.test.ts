import assert from "node:assert/strict";
import { createNetns } from "../lab/netns.ts";
import { accelerated } from "../lab/streams/accelerated.ts";
import { assertSameAsTcp } from "../lab/streams/programs.ts";

/** Of each kind, in alone.c. */
const connections = 20;

for (const family of [4, 6]) {
  Deno.test(`MPTCP's subflows are left alone, IPv${family}`, async () => {
    await accelerated("mptcp", async (mda, cgroup) => {
      const { refused } = await mda.during(() => assertSameAsTcp({ cgroup }, "alone", family, "mptcp"));
      // MPTCP to MPTCP, and MPTCP to TCP.
      assert.equal(refused.protocol, 2 * connections);
    });
  });

  Deno.test(`a socket connected to itself is left alone, IPv${family}`, async () => {
    await accelerated("self", async (mda, cgroup) => {
      const { paired, messages } = await mda.during(() =>
        assertSameAsTcp({ cgroup }, "alone", family, "self")
      );
      assert.deepEqual({ paired, messages }, { paired: 0, messages: 0 });
    });
  });

  Deno.test(`SO_RCVLOWAT holds, IPv${family}`, async () => {
    await accelerated("lowat", async (mda, cgroup) => {
      const { passed, messages } = await mda.during(() =>
        assertSameAsTcp({ cgroup }, "alone", family, "lowat")
      );
      // Twice on each connection, two messages each time; what comes between is redirected.
      assert.equal(passed.lowat, 4 * connections);
      assert.equal(messages, connections * 2 * 20 * 2);
    });
  });

  Deno.test(`TCP_ULP answers as on TCP, with bytes redirected before and without, IPv${family}`, async () => {
    await accelerated("ulp", async (_mda, cgroup) => {
      await assertSameAsTcp({ cgroup }, "alone", family, "tls");
    });
  });

  Deno.test(`TCP Fast Open works, IPv${family}`, async () => {
    await using netns = await createNetns("fastopen");
    await netns.sysctl("net.ipv4.tcp_fastopen", 0x207);
    await accelerated("fastopen", async (_mda, cgroup) => {
      await assertSameAsTcp({ cgroup, netns }, "alone", family, "fastopen");
    });
  });
}
