import assert from "node:assert/strict";
import { soak } from "./soak.ts";

const seconds = 24;
const each = 8;

Deno.test(`${each} restarts, reloads and SIGKILLs in ${seconds} s of mixed load break nothing and leave nothing`, async () => {
  const { connections, bytes, harm, leftovers } = await soak(seconds, each, () => {});
  assert.deepEqual([harm, leftovers], [[], []]);
  assert.ok(connections > 500 && bytes > 10e6, `${connections} connections, ${bytes} bytes`);
});
