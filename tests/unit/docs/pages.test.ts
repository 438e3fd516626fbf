/** All pages: their lines, links and paths; and that the two READMEs say the same. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { columns, readAnchors, readCommands, readFigures, readLines, readLinks } from "./markdown.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const width = 100;

/** Paths of all pages, from the root. */
const pages = [
  ...[".", "docs"].flatMap((directory) => pagesIn(directory)),
  ...[...Deno.readDirSync(`${root}tests`)].flatMap(({ name, isDirectory }) =>
    isDirectory ? pagesIn(`tests/${name}`) : []
  ),
];

function pagesIn(directory: string): string[] {
  const names = [...Deno.readDirSync(`${root}${directory}`)].map(({ name }) => name);
  return names.filter((name) => name.endsWith(".md")).map((name) => join(directory, name)).sort();
}

const read = (page: string) => Deno.readTextFileSync(`${root}${page}`);

Deno.test(`lines of the pages have ${width} columns at most`, () => {
  const long = pages.flatMap((page) =>
    readLines(read(page)).filter(({ text, kind }) =>
      // A word that is too long by itself, as a link may be, cannot be broken.
      kind === "text" && columns(text) > width && /\S\s/.test(text.replace(/^ *([-*]|\d+\.) /, ""))
    ).map(({ number, text }) => `${page}:${number}: ${columns(text)} columns`)
  );
  assert.deepEqual(long, []);
});

Deno.test("links of the pages lead to files and headings that are there", () => {
  const dead = pages.flatMap((page) =>
    readLinks(read(page)).filter(({ target }) => !/^[a-z]+:/.test(target)).filter(({ target }) => {
      const [path, anchor] = target.split("#");
      const file = path === "" ? page : normalize(join(dirname(page), path));
      if (!existsSync(`${root}${file}`)) return true;
      return anchor !== undefined && !readAnchors(read(file)).has(anchor);
    }).map(({ line, target }) => `${page}:${line}: ${target}`)
  );
  assert.deepEqual(dead, []);
});

Deno.test("files that the pages name are there", () => {
  const gone = pages.flatMap((page) =>
    // In a numbered list are notes on other projects, whose paths are theirs.
    readLines(read(page)).filter(({ kind, text }) => kind !== "code" && !/^(\d+\.| {3}\S)/.test(text))
      .flatMap(({ number, text }) =>
        [...text.matchAll(/`((?:bench|bpf|docs|packaging|src|tests)\/[\w./-]*)`/g)]
          .filter(([, path]) => !existsSync(`${root}${path}`))
          .map(([, path]) => `${page}:${number}: ${path}`)
      )
  );
  assert.deepEqual(gone, []);
});

Deno.test("README.zh-CN.md has the headings, commands and figures of README.md", () => {
  const [english, chinese] = ["README.md", "README.zh-CN.md"].map(read);
  const levels = (page: string) =>
    readLines(page).filter(({ kind }) => kind === "heading").map(({ text }) => /^#+/.exec(text)![0]);
  assert.deepEqual(levels(chinese), levels(english));
  assert.deepEqual(readCommands(chinese), readCommands(english));
  assert.deepEqual(readFigures(chinese), readFigures(english));
  const targets = (page: string) =>
    readLinks(page).map(({ target }) => target).filter((target) => !target.startsWith("README")).sort();
  assert.deepEqual(targets(chinese), targets(english));
});
