import assert from "node:assert/strict";
import { accelerated } from "../../lab/streams/accelerated.ts";
import { runProgram } from "../../lab/streams/programs.ts";

const seconds = 4;

/** How many threads, with messages of so many bytes; how large the reader's buffer is, 0: the kernel's choice. */
const shapes = [
  { threads: 2, bytes: 4000, buffer: 262_144, reader: "poll" },
  { threads: 2, bytes: 4000, buffer: 262_144, reader: "edges" },
  { threads: 4, bytes: 3000, buffer: 262_144, reader: "poll" },
  { threads: 4, bytes: 3000, buffer: 32_768, reader: "poll" },
];

for (const { threads, bytes, buffer, reader } of shapes) {
  Deno.test(`${threads} threads that send on one socket to a slow reader (${reader}, ${buffer >> 10} KiB) keep their order`, async () => {
    await accelerated("together", async (mda, cgroup) => {
      const growth = await mda.during(async () => {
        await runProgram({ cgroup }, "together", threads, seconds, bytes, buffer, reader);
      });
      // It went from one queue to the other often enough to tell.
      assert.ok(growth.messages > 1000 && growth.passed.full > 10, JSON.stringify(growth));
    });
  });
}
