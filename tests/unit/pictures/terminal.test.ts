import assert from "node:assert/strict";
import { cutLines, readLines, textOf, wrapLines } from "../../../packaging/demo/terminal.ts";

const texts = (lines: ReturnType<typeof readLines>) => lines.map(textOf);

Deno.test("what Deno writes before a program's own output is no line, nor a part of one", () => {
  const lines = readLines("\x1b[0G\x1b[2K\x1b[J\x1b[0GSTATE\r\nleft\r\n");
  assert.deepEqual(texts(lines), ["STATE", "left"]);
  assert.deepEqual(texts(readLines("\x1b[0G\x1b[2K\r\n\r\none\n\ntwo\n\n")), ["one", "", "two"]);
  assert.deepEqual(readLines("\x1b[0G\x1b[2K\x1b[J"), []);
});

Deno.test("bold, dim, reverse and both kinds of colours are read, and end where they are ended", () => {
  const [line] = readLines("a\x1b[1;38;5;74mb\x1b[22mc\x1b[0md\x1b[2;33;44me\x1b[mf\x1b[7mg\x1b[27;91;39mh");
  assert.deepEqual(line.map(({ column: _, columns: __, text, ...look }) => [text, look]), [
    ["a", {}],
    ["b", { bold: true, colour: 74 }],
    ["c", { bold: false, dim: false, colour: 74 }],
    ["d", {}],
    ["e", { dim: true, colour: 3, background: 4 }],
    ["f", {}],
    ["g", { reverse: true }],
    ["h", { reverse: false, colour: undefined }],
  ]);
});

Deno.test("a run knows the column it begins in, also behind characters that are two wide", () => {
  const [line] = readLines("商店\x1b[1mx\x1b[0m y");
  assert.deepEqual(line.map(({ column, columns }) => [column, columns]), [[0, 4], [4, 1], [5, 2]]);
});

Deno.test("a line that is wider than the terminal goes on in the next one, with its colours", () => {
  const lines = wrapLines(readLines("ab\x1b[31mcdef\x1b[0mg\n\n商店x"), 3);
  assert.deepEqual(texts(lines), ["abc", "def", "g", "", "商", "店x"]);
  assert.deepEqual(lines[1].map(({ column, columns, colour }) => [column, columns, colour]), [[0, 3, 1]]);
});

Deno.test("of many lines the last ones stay, and a line tells how many are left out", () => {
  const many = Array.from({ length: 30 }, (_, i) => `check ${i}\n    what it found`);
  const cut = texts(cutLines(readLines(many.join("\n"))));
  assert.ok(cut.length <= 40, `${cut.length} lines`);
  assert.equal(cut.at(-1), "    what it found");
  const at = cut.findIndex((line) => line.startsWith("["));
  assert.equal(cut[at], `[${60 - (cut.length - 1)} more lines are left out of this picture]`);
  // No check without its name, none without what it found.
  assert.match(cut[at - 1], /^ /);
  assert.match(cut[at + 1], /^check/);
  const few = readLines(many.slice(0, 20).join("\n"));
  assert.deepEqual(cutLines(few), few);
});
