import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));

/** All of the source, with texts that are broken over lines put together. */
function sourceText(directory = `${root}src`): string {
  return [...Deno.readDirSync(directory)].map(({ name, isDirectory }) => {
    const path = `${directory}/${name}`;
    return isDirectory ? sourceText(path) : Deno.readTextFileSync(path).replaceAll(/["`] \+\s*["`]/g, "");
  }).join("\n");
}

/** What the page quotes of messages: `…` stands for what differs from one to another. */
function quotes(page: string): string[] {
  return [...page.matchAll(/^### (.*)$|^\| (`.*?) \|/gm)].flatMap(([, heading, cell]) =>
    [...(heading ?? cell).matchAll(/`([^`]+)`/g)].map(([, quote]) => quote)
  );
}

Deno.test("the messages that docs/troubleshooting.md quotes are those that mda says", () => {
  const page = Deno.readTextFileSync(`${root}docs/troubleshooting.md`);
  const counters = /^(refused|passed|left): /;
  const said = quotes(page).filter((quote) => quote.includes(" ") && !counters.test(quote));
  assert.ok(said.length > 30, `${said.length} messages`);
  const source = sourceText();
  const parts = said.flatMap((quote) =>
    // A remedy follows what is wrong after a semicolon, and is a text of its own.
    quote.split("…").map((part) => part.replace(/^: (E[A-Z]+)|^Cannot /, "$1").trim().replace(/;$/, ""))
  );
  assert.deepEqual(parts.filter((part) => !source.includes(part)), []);
});

Deno.test("the counters that docs/troubleshooting.md explains are there", async () => {
  const page = Deno.readTextFileSync(`${root}docs/troubleshooting.md`);
  const { reasons } = await import("../../../src/generated/reasons.ts");
  for (const [, group, reason] of page.matchAll(/`(refused|passed|left): ([a-z ]+)`/g)) {
    const names = Object.keys(reasons[group as keyof typeof reasons]);
    assert.ok(names.includes(reason.replaceAll(" ", "_")), `${group}: ${reason}`);
  }
});
