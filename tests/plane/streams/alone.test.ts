import assert from "node:assert/strict";
import { createNetns } from "../../lab/netns.ts";
import { accelerated } from "../../lab/streams/accelerated.ts";
import { assertSameAsTcp } from "../../lab/streams/programs.ts";

/** Of each kind, in alone.c. */
const connections = 20;

for (const family of [4, 6]) {
  Deno.test(`MPTCP's subflows are left alone, IPv${family}`, async () => {
    await accelerated("mptcp", async (mda, cgroup) => {
      const { paired, refused } = await mda.during(() =>
        assertSameAsTcp({ cgroup }, "alone", family, "mptcp")
      );
      // MPTCP to MPTCP, MPTCP to TCP, and TCP to MPTCP.
      assert.deepEqual({ paired, refused }, { paired: 0, refused: { protocol: 3 * connections } });
    });
  });

  Deno.test(`MPTCP's subflows are left alone when SYN cookies answer, IPv${family}`, async () => {
    await using netns = await createNetns("mptcp");
    await netns.sysctl("net.ipv4.tcp_syncookies", 2);
    await accelerated("mptcp", async (mda, cgroup) => {
      const { paired, refused } = await mda.during(() =>
        assertSameAsTcp({ cgroup, netns }, "alone", family, "mptcp")
      );
      assert.deepEqual({ paired, refused }, { paired: 0, refused: { protocol: 3 * connections } });
    });
  });

  for (const cookies of [1, 2]) {
    Deno.test(`of listeners that share an address MPTCP's are left alone, tcp_syncookies=${cookies}, IPv${family}`, async () => {
      await using netns = await createNetns("siblings");
      await netns.sysctl("net.ipv4.tcp_syncookies", cookies);
      await accelerated("siblings", async (mda, cgroup) => {
        const { paired, refused } = await mda.during(() =>
          assertSameAsTcp({ cgroup, netns }, "alone", family, "siblings")
        );
        assert.equal(paired + refused.protocol, connections);
        // 1 of a million runs has all connections at one of them.
        assert.ok(paired > 0 && refused.protocol > 0, `${paired} paired`);
      });
    });
  }

  Deno.test(`connections to a listener in a reuseport array pair, IPv${family}`, async () => {
    await accelerated("array", async (mda, cgroup) => {
      const { paired, refused } = await mda.during(() =>
        assertSameAsTcp({ cgroup }, "alone", family, "array")
      );
      assert.deepEqual({ paired, refused }, { paired: connections, refused: {} });
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
