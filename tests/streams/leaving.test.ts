import assert from "node:assert/strict";
import { waitFor } from "../lab/wait.ts";
import { accelerated } from "../lab/streams/accelerated.ts";
import { assertSameAsTcp } from "../lab/streams/programs.ts";

for (const family of [4, 6]) {
  Deno.test(`what ends, half-closes or changes amid a stream loses nothing, IPv${family}`, async () => {
    await accelerated("leaving", async (mda, cgroup) => {
      const growth = await mda.during(async () => {
        await assertSameAsTcp({ cgroup }, "leaving", family, 100);
      });
      for (const why of ["bulk", "blocking", "half_closed", "with_peer"]) {
        assert.ok(growth.left[why] > 0, `${why}: ${JSON.stringify(growth)}`);
      }
      assert.ok(growth.messages > 100_000, JSON.stringify(growth));
      await waitFor(
        "closed sockets to be forgotten",
        async () => (await mda.status()).connections.active === 0,
      );
    });
  });
}
