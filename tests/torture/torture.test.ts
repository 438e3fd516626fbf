import assert from "node:assert/strict";
import { Checker } from "./checker.ts";
import { redirectedShare, torture } from "./torture.ts";

const seconds = 30;

Deno.test(`${seconds} s of streams of every kind, while mda is switched at random, stay right`, async () => {
  const seed = Math.floor(Math.random() * 1e6);
  const result = await torture(seconds, seed);
  const what = `seed ${seed}: ${JSON.stringify(result)}`;
  assert.deepEqual([result.harm, result.leftovers], [[], []], what);
  assert.ok(Object.values(result.checked).every(({ connections }) => connections > 100), what);
  assert.ok(result.redirectedBytes > 10e6 && redirectedShare(result) > 0.02, what);
});

const harms = {
  lose: ["wrong", /: 700 are missing or late/],
  repeat: ["wrong", /: repeated or late by 700/],
  stray: ["wrong", /those of position \d+ of connection \d+/],
  hold: ["stalled", /nothing moved/],
} as const;

for (const [harm, [kind, says]] of Object.entries(harms)) {
  Deno.test(`the checker finds what it does itself: ${harm}`, async () => {
    const directory = Deno.makeTempDirSync({ prefix: "mda-test-" });
    try {
      const options = {
        name: harm,
        directory,
        seed: 9,
        connections: 40,
        seconds: 60,
        habits: "all,-blocking",
      };
      await using checker = await Checker.start({}, { ...options, args: ["--harm", harm] });
      const found = await checker.program.says(new RegExp(`^.* ${kind}: .*$`, "m"), 40_000);
      assert.match(found[0], says);
      assert.equal((await checker.stop())[kind], 1);
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  });
}
