import assert from "node:assert/strict";
import { accelerated } from "../lab/streams/accelerated.ts";
import { runProgram } from "../lab/streams/programs.ts";
import type { Place } from "../lab/program.ts";

interface Held {
  queuedBytes: number;
  heldKib: number;
  keptKib: number;
}

/** How exact held.c knows the kernel's memory while the rest of the machine works. */
const noiseKib = 8192;

async function hold(place: Place, ...args: (string | number)[]): Promise<Held> {
  const output = await runProgram(place, "held", ...args);
  const numbers = /^queued (\d+) bytes\nheld (-?\d+) KiB\nkept (-?\d+) KiB\n$/.exec(output)!;
  const [queuedBytes, heldKib, keptKib] = numbers.slice(1).map(Number);
  return { queuedBytes, heldKib, keptKib };
}

function assertHeldAsOnTcp(held: Held, onTcp: Held): void {
  const what = JSON.stringify({ held, onTcp });
  const ratio = held.queuedBytes / onTcp.queuedBytes;
  assert.ok(ratio >= 0.5 && ratio <= 2, `${ratio} times what TCP queues: ${what}`);
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
        assertHeldAsOnTcp(await hold({ cgroup }, ...args), onTcp);
      });
      assert.ok(growth.messages > 0 && growth.passed.full > 0, JSON.stringify(growth));
    }, ["--sockets", sockets]);
  });
}

for (const bytes of [1, 100]) {
  Deno.test(`a reader that stops holds a sender of messages of ${bytes} bytes, and no more memory than TCP's`, async () => {
    const args = [6, "nonblocking", 1, bytes, 65_536];
    const onTcp = await hold({}, ...args);
    await accelerated("small", async (mda, cgroup) => {
      const growth = await mda.during(async () => {
        assertHeldAsOnTcp(await hold({ cgroup }, ...args), onTcp);
      });
      assert.ok(growth.messages > 0 && growth.passed.full > 0, JSON.stringify(growth));
    });
  });
}
