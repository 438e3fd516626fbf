import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { reasons } from "../../../src/generated/reasons.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));

Deno.test("every reason has words, and says what would remove it", () => {
  const all = Object.entries(reasons).flatMap(([group, its]) =>
    Object.entries<{ words: string; remedy: string }>(its).map(([name, said]) => ({
      name: `${group} ${name}`,
      ...said,
    }))
  );
  assert.ok(all.length > 40, `${all.length} reasons`);
  for (const { name, words, remedy } of all) {
    for (const text of [words, remedy]) {
      // It stands behind others in a line.
      assert.match(text, /^\S.{5,}[^\s.]$|\.\.\.$/, name);
    }
    assert.notEqual(words, remedy, name);
  }
});

Deno.test("docs/reasons.md says what its source says", async () => {
  const args = ["run", "--quiet", "--no-check", "--frozen", `${root}packaging/manual/reasons.ts`];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  const page = Deno.readTextFileSync(`${root}docs/reasons.md`);
  assert.equal(page, new TextDecoder().decode(stdout), "it is old: run ./build.sh manual");
});
