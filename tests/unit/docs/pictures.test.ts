/** The pictures of commands in docs/ are still true: as far as that can be told without making them again. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { connectionLines } from "../../../src/output/connections_table.ts";
import { textOf } from "../../../src/output/top/line.ts";
import { tableOf } from "../../../src/output/top/table.ts";

const docs = fileURLToPath(new URL("../../../docs/", import.meta.url));
const BYTES_MAX = 60_000;

const pictures = [...Deno.readDirSync(docs)].filter(({ name }) => name.endsWith(".svg"))
  .map(({ name }) => ({ name, svg: Deno.readTextFileSync(docs + name) }))
  .filter(({ svg }) => svg.includes("Made by ./build.sh pictures"));

/** Words of a picture, those that stand together in one. */
const wordsOf = (svg: string) =>
  [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, text]) =>
    text.replaceAll("&gt;", ">").replaceAll("&lt;", "<").replaceAll("&quot;", '"').replaceAll("&amp;", "&")
  );

Deno.test("pictures of commands are small, fetch nothing, and show the commands that they are called after", () => {
  assert.deepEqual(pictures.map(({ name }) => name).sort(), [
    "conns.svg",
    "doctor.svg",
    "explain.svg",
    "top.svg",
  ]);
  for (const { name, svg } of pictures) {
    assert.ok(svg.length < BYTES_MAX, `${name}: ${svg.length} bytes`);
    assert.doesNotMatch(
      svg.replace('xmlns="http://www.w3.org/2000/svg"', ""),
      /https?:|href|url\(|@import|<script/,
      name,
    );
    assert.match(wordsOf(svg).join("\n"), new RegExp(`^mda ${name.replace(".svg", "")}\\b`, "m"));
  }
});

const tables = {
  conns: connectionLines([], { isWide: false })[0],
  top: textOf(tableOf([], { sort: "bytes" })[0]),
};

for (const [name, head] of Object.entries(tables)) {
  Deno.test(`docs/${name}.svg has columns of mda ${name}: ./build.sh pictures makes it again`, () => {
    const { svg } = pictures.find((picture) => picture.name === `${name}.svg`)!;
    const titles = head.trim().split(/ {2,}/);
    const shown = wordsOf(svg).filter((words) => /^[A-Z/*]+$/.test(words));
    assert.deepEqual(shown.filter((title) => !titles.includes(title)), []);
    for (const title of ["STATE", "CLIENT", "SERVER", "PORT", "REASON"]) {
      assert.ok(shown.includes(title), title);
    }
  });
}
