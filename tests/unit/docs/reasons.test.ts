import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));

Deno.test("docs/reasons.md says what its source says", async () => {
  const args = ["run", "--quiet", "--no-check", "--frozen", `${root}packaging/manual/reasons.ts`];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  const page = Deno.readTextFileSync(`${root}docs/reasons.md`);
  assert.equal(page, new TextDecoder().decode(stdout), "it is old: run ./build.sh manual");
});
