/** docs/commands.md and docs/mda.8, which `./build.sh manual` makes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { execute, mda, root, shell } from "./mda.ts";

const pages = { "markdown.ts": "commands.md", "man.ts": "mda.8" };

for (const [program, page] of Object.entries(pages)) {
  Deno.test(`docs/${page} says what its source says`, async () => {
    const env = { MDA_PIN_DIR: "", MDA_CGROUP: "", MDA_UNKNOWN: "", DENO_DIR: `${root}build/deno` };
    const command = [Deno.execPath(), "run", "--quiet", "--allow-env", `${root}packaging/manual/${program}`];
    const { code, stdout, stderr } = await execute(command, env);
    assert.equal(code, 0, stderr);
    assert.equal(readFileSync(`${root}docs/${page}`, "utf8"), stdout, "it is old: run ./build.sh manual");
  });
}

Deno.test("docs/commands.md has every command of --help", async () => {
  const { stdout } = await mda("--help");
  const names = [...stdout.matchAll(/^ {2}([a-z]+) .*[a-z]/gm)].map(([, name]) => name).filter((name) =>
    name !== "help"
  );
  assert.ok(names.includes("run") && names.includes("completions"), `${names}`);
  const text = readFileSync(`${root}docs/commands.md`, "utf8");
  for (const name of names.filter((name) => name !== "mda")) {
    assert.match(text, new RegExp(`^## mda ${name}$`, "m"));
  }
});

Deno.test("groff has no complaint about docs/mda.8, on 80 columns", async () => {
  const { stdout, stderr } = await shell(`groff -man -Tutf8 -P -cbou -ww -rLL=78n "$1"`, `${root}docs/mda.8`);
  assert.equal(stderr, "");
  assert.match(stdout, /mda - accelerate TCP connections within a host/);
  for (const line of stdout.split("\n")) assert.ok(line.length <= 80, line);
});
