/** The source is built as docs/architecture.md says: its rooms, what they import, how long a file may be, and where functions are. */
import assert from "node:assert/strict";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { readLines } from "./markdown.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const page = "docs/architecture.md";

const SOURCE_LINES_MAX = 250;
const HEADER_LINES_MAX = 200;
/** Nobody reads these from end to end: one declares the kernel's structs, the other is a table. */
const longHeaders = ["bpf/kernel.h", "bpf/reasons.h"];

/** The rooms of src/, none of which imports from one below, and from which of those above it may: in the words of the page. */
const rooms: [name: string, mayImport: string][] = [
  ["text", "nothing"],
  ["generated", "nothing"],
  ["host", "text"],
  ["libbpf", "all above"],
  ["rules", "all above"],
  ["config", "text, host, rules"],
  ["state", "all above"],
  ["checks", "all above"],
  ["views", "all above"],
  ["plane/programs", "all above but views"],
  ["plane", "all above but views"],
  ["plane/sockets", "all above but views"],
  ["plane/upkeep", "all above"],
  ["plane/lifecycle", "all above"],
  ["doctor", "all above"],
  ["output", "all above but plane"],
  ["log", "text, host, output"],
  ["http", "text, host, views, output"],
  ["web", "all above but plane"],
  ["cli/commands", "all above"],
  ["cli", "all above"],
];

interface Import {
  from: string;
  line: number;
  to: string;
}

const sources = filesIn("src");
const imports = sources.filter((path) => path.endsWith(".ts")).flatMap(importsOf);

function filesIn(directory: string): string[] {
  return [...Deno.readDirSync(`${root}${directory}`)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesIn(`${directory}/${name}`) : [`${directory}/${name}`]
  ).sort();
}

function linesOf(path: string): string[] {
  return Deno.readTextFileSync(`${root}${path}`).trimEnd().split("\n");
}

/** What a file of src/ imports from src/, types as well: who reads it has to go there in any case. */
function importsOf(from: string): Import[] {
  return linesOf(from).flatMap((text, i) =>
    [...text.matchAll(/\b(?:from|import\(?)\s*"(\.[^"]+)"/g)]
      .map(([, to]) => ({ from, line: i + 1, to: normalize(join(dirname(from), to)) }))
      .filter(({ to }) => to.startsWith("src/"))
  );
}

/** Parts of these rooms are no rooms of their own. */
const withParts = ["generated", "host", "checks", "doctor", "output", "web"];

function roomOf(path: string): string {
  const directory = dirname(path).replace("src/", "");
  if (directory === "cli/declarations") return "cli";
  return withParts.find((room) => directory.startsWith(`${room}/`)) ?? directory;
}

/** The rooms that a room may import from, and itself. */
function reachOf(room: string): string[] {
  const place = rooms.findIndex(([name]) => name === room);
  const above = rooms.slice(0, place).map(([name]) => name);
  const [, mayImport] = rooms[place];
  const but = /^all above(?: but (.+))?$/.exec(mayImport);
  if (!but) return [room, ...mayImport === "nothing" ? [] : mayImport.split(", ")];
  return [room, ...above.filter((name) => name !== but[1] && !name.startsWith(`${but[1]}/`))];
}

/** The rows of the page's tables whose heads have these columns, cell by cell. */
function rowsUnder(...columns: string[]): { number: number; cells: string[] }[] {
  const rows = [];
  let head = "";
  for (const { number, text, kind } of readLines(Deno.readTextFileSync(`${root}${page}`))) {
    if (kind !== "table") head = "";
    else if (head === "") head = text;
    else if (head === `| ${columns.join(" | ")} |` && !text.startsWith("| ---")) {
      rows.push({ number, cells: text.slice(2, -2).split(" | ") });
    }
  }
  return rows;
}

const codeIn = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code);

Deno.test(`${page} has every room, in their order, with what it may import`, () => {
  const said = rowsUnder("room", "what is in it", "may import").map(({ cells: [room, _what, mayImport] }) =>
    [room, mayImport].map((cell) => cell.replaceAll("`", ""))
  );
  assert.deepEqual(said, rooms);
  const there = new Set(sources.map(roomOf));
  assert.deepEqual([...there].sort(), rooms.map(([name]) => name).sort());
});

Deno.test("the picture of the rooms has each in a box", () => {
  const boxed = namesInBoxes(Deno.readTextFileSync(`${root}docs/architecture.svg`));
  // A room inside of another's box goes by the rest of its name.
  assert.deepEqual(
    rooms.map(([name]) => name).filter((name) => !boxed.has(name) && !boxed.has(name.split("/").at(-1)!)),
    [],
  );
});

/** What stands in the boxes of a picture, but for what stands between them. */
function namesInBoxes(svg: string): Set<string> {
  const boxes = [...svg.matchAll(/<rect x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"/g)]
    .map(([, ...numbers]) => numbers.map(Number));
  const words = [...svg.matchAll(/<text x="(\d+)" y="(\d+)"[^>]*>([^<]*)</g)]
    .filter(([, x, y]) =>
      boxes.some(([left, top, width, height]) =>
        +x >= left && +x <= left + width && +y >= top && +y <= top + height
      )
    );
  return new Set(words.flatMap(([, , , text]) => text.split(", ")));
}

Deno.test("no room imports from one that is below it, or that it has no business with", () => {
  const wrong = imports.filter(({ from, to }) => !reachOf(roomOf(from)).includes(roomOf(to)));
  assert.deepEqual(wrong.map(({ from, line, to }) => `${from}:${line}: imports ${to}`), []);
});

Deno.test("no imports go in a circle", () => {
  assert.deepEqual(
    circles().map((circle) => circle.map(({ from, line }) => `${from}:${line}`).join(" -> ")),
    [],
  );
});

/** The imports of each circle, from a file back to it; of circles that share files not all, but at least one. */
function circles(): Import[][] {
  const found: Import[][] = [];
  const done = new Set<string>();
  const walk = (path: string, way: Import[]) => {
    for (const step of imports.filter(({ from }) => from === path)) {
      const start = [...way, step].findIndex(({ from }) => from === step.to);
      if (start >= 0) found.push([...way, step].slice(start));
      else if (!done.has(step.to)) walk(step.to, [...way, step]);
    }
    done.add(path);
  };
  for (const path of sources) if (!done.has(path)) walk(path, []);
  return found;
}

Deno.test(`no file of src/ is longer than ${SOURCE_LINES_MAX} lines, no header of bpf/ than ${HEADER_LINES_MAX}`, () => {
  const limited = [
    ...sources.filter((path) => roomOf(path) !== "generated").map((path) => ({
      path,
      max: SOURCE_LINES_MAX,
    })),
    ...filesIn("bpf").filter((path) => path.endsWith(".h") && !longHeaders.includes(path))
      .map((path) => ({ path, max: HEADER_LINES_MAX })),
  ];
  const long = limited.map(({ path, max }) => ({ path, max, lines: linesOf(path).length }))
    .filter(({ lines, max }) => lines > max);
  assert.deepEqual(long.map(({ path, max, lines }) => `${path}:${max + 1}: ${lines} lines`), []);
});

Deno.test(`functions are in the files that ${page} names with them`, () => {
  const gone = rowsUnder("step", "what happens", "function", "file").flatMap(({ number, cells }) => {
    const [functions, files] = cells.slice(2).map(codeIn);
    const texts = files.map((path) => Deno.readTextFileSync(`${root}${path}`));
    return functions.map((name) => name.replace("()", ""))
      .filter((name) => !texts.some((text) => new RegExp(`\\b${name}\\b`).test(text)))
      .map((name) => `${page}:${number}: ${name} is not in ${files.join(", ")}`);
  });
  assert.deepEqual(gone, []);
});
