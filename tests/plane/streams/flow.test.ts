import assert from "node:assert/strict";
import { accelerated } from "../../lab/streams/accelerated.ts";
import { runProgram } from "../../lab/streams/programs.ts";
import type { Place } from "../../lab/program.ts";

interface Held {
  queuedBytes: number;
  heldKib: number;
  keptKib: number;
}

/** How much of what held.c measures may be the rest of the machine: sockets of other programs, say. */
const noiseKib = 32_768;

async function hold(place: Place, ...args: (string | number)[]): Promise<Held> {
  const output = await runProgram(place, "held", ...args);
  const numbers = /^queued (\d+) bytes\nheld (-?\d+) KiB\nkept (-?\d+) KiB\n$/.exec(output)!;
  const [queuedBytes, heldKib, keptKib] = numbers.slice(1).map(Number);
  return { queuedBytes, heldKib, keptKib };
}

function assertQueuesAsOnTcp(held: Held, onTcp: Held): void {
  const ratio = held.queuedBytes / onTcp.queuedBytes;
  assert.ok(ratio >= 0.5 && ratio <= 2, `${ratio} times what TCP queues: ${JSON.stringify({ held, onTcp })}`);
}

function assertTakesMemoryAsOnTcp(held: Held, onTcp: Held): void {
  const what = JSON.stringify({ held, onTcp });
  assert.ok(held.heldKib <= 2 * onTcp.heldKib + noiseKib, `more memory than TCP takes: ${what}`);
  assert.ok(held.keptKib <= held.queuedBytes / 1024 / 4 + noiseKib, `memory does not come back: ${what}`);
}

const cases = [
  { sender: "an event-driven sender", sockets: "nonblocking", mode: "nonblocking" },
  { sender: "a blocking sender", sockets: "all", mode: "blocking" },
];

for (const { sender, sockets, mode } of cases) {
  Deno.test(`a reader that stops holds ${sender} as TCP does, and gets every byte`, async () => {
    const args = [4, mode, 8, 4096, 0];
    const onTcp = await hold({}, ...args);
    await accelerated("held", async (mda, cgroup) => {
      const growth = await mda.during(async () => {
        const held = await hold({ cgroup }, ...args);
        assertQueuesAsOnTcp(held, onTcp);
        assertTakesMemoryAsOnTcp(held, onTcp);
      });
      assert.ok(growth.messages > 0 && growth.passed.full > 0, JSON.stringify(growth));
    }, ["--sockets", sockets]);
  });
}

Deno.test("a reader that stops on messages of one byte takes no more memory than on TCP", async () => {
  const sendBufferBytes = 65_536; // TCP's own queue would take minutes to fill
  const args = [6, "nonblocking", 1, 1, sendBufferBytes];
  const onTcp = await hold({}, ...args);
  await accelerated("small", async (mda, cgroup) => {
    const growth = await mda.during(async () => {
      assertTakesMemoryAsOnTcp(await hold({ cgroup }, ...args), onTcp);
    });
    assert.ok(growth.messages > 0 && growth.passed.full > 0, JSON.stringify(growth));
  });
});
