import assert from "node:assert/strict";
import { Bench, type Case, listCases, type Outcome } from "./cases.ts";
import { casesInTable } from "./table.ts";

let bench: Bench;

Deno.test.beforeAll(async () => {
  bench = await Bench.create();
});

Deno.test.afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

for (const test of listCases()) {
  Deno.test({
    name: `${test.name}: ${test.what}`,
    // mda runs longer than a test.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      const outcome = await bench.run(test);
      assertTranscripts(test, outcome);
      assertRedirection(test, outcome);
    },
  });
}

function assertTranscripts(
  { differs, instead, triesAgain }: Case,
  { onTcp, underMda, atFirst }: Outcome,
): void {
  assert.ok(!hangs(onTcp), `it hangs on plain TCP:\n${onTcp.join("\n")}`);
  if (atFirst !== undefined) assert.ok(!hangs(atFirst), `it hangs at first:\n${atFirst.join("\n")}`);
  if (triesAgain) assert.equal(atFirst!.join("\n"), onTcp.join("\n"), "the first time");
  if (differs === undefined) {
    assert.equal(underMda.join("\n"), onTcp.join("\n"));
  } else if (instead !== undefined) {
    const different = underMda.find((line, i) => line !== onTcp[i]);
    const seen = `${underMda.join("\n")}\n\nOn plain TCP:\n${onTcp.join("\n")}`;
    assert.equal(different, instead, `not the difference that there was:\n${seen}`);
  }
}

function hangs(transcript: string[]): boolean {
  return transcript.some((line) => line.endsWith(": hangs"));
}

function assertRedirection({ redirected }: Case, { growth }: Outcome): void {
  const counted = JSON.stringify(growth);
  if (redirected === "must") assert.ok(growth.messages > 0, `nothing was redirected: ${counted}`);
  if (redirected === "never") assert.equal(growth.messages, 0, `messages were redirected: ${counted}`);
}

Deno.test("docs/differential.md has exactly the cases that there are", () => {
  assert.deepEqual(casesInTable(), listCases().map(({ name }) => name));
});
