/** No memory for sockets: senders see nothing but EAGAIN, as over TCP, and all arrives. TCP's own is used up in a virtual machine. */
import assert from "node:assert/strict";
import { createSocketMemoryCgroup } from "../../lab/cgroup.ts";
import { createNetns } from "../../lab/netns.ts";
import { accelerated } from "../../lab/streams/accelerated.ts";
import { runProgram } from "../../lab/streams/programs.ts";

for (const [connections, messages, bytes] of [[30, 200, 8192], [60, 400, 2000]]) {
  Deno.test(`the memory of the cgroup that reads is used up, messages of ${bytes} bytes`, async () => {
    await using place = createSocketMemoryCgroup("pressed", 4 << 20);
    const pressed = (path: string) => [path, connections, messages, bytes];
    const onTcp = await runProgram({}, "pressed", ...pressed(place.path));
    await accelerated("pressed", async (mda, cgroup) => {
      const growth = await mda.during(async () => {
        assert.equal(await runProgram({ cgroup }, "pressed", ...pressed(place.path)), onTcp);
      });
      assert.ok(growth.messages > 0 && growth.passed.memory > 0, JSON.stringify(growth));
    });
  });
}

// A sender then takes within microseconds what had been left, and more.
Deno.test("the memory of the cgroup that reads is used up by few who have large buffers", async () => {
  await using netns = await createNetns("pressed");
  for (const name of ["rmem", "wmem"]) await netns.sysctl(`net.ipv4.tcp_${name}`, "4096 16777216 16777216");
  await accelerated("pressed", async (mda, cgroup) => {
    // So that some sender finds room for a part of what it sends.
    for (const kilobytes of [3300, 3400, 3500]) {
      await using place = createSocketMemoryCgroup("pressed", kilobytes << 10);
      const pressed = [place.path, 12, 150, 4000];
      const onTcp = await runProgram({ netns }, "pressed", ...pressed);
      const growth = await mda.during(async () => {
        assert.equal(await runProgram({ netns, cgroup }, "pressed", ...pressed), onTcp);
      });
      assert.ok(growth.messages > 0 && growth.passed.memory > 0, JSON.stringify(growth));
    }
  });
});
