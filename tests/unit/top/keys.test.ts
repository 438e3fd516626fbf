import assert from "node:assert/strict";
import { KeyReader, keysOf } from "../../../src/output/top/keys.ts";

const known: [sent: string, ...keys: string[]][] = [
  ["q", "q"],
  ["abc", "a", "b", "c"],
  ["\x1b[A\x1b[B\x1bOA", "up", "down", "up"],
  ["\x1bOP\x1b[11~\x1b[[A", "F1", "F1", "F1"],
  ["\x1b[21~", "F10"],
  ["\x1b[5~\x1b[6~\x1b[H\x1b[F\x1b[1~\x1b[4~", "page up", "page down", "home", "end", "home", "end"],
  ["\x1b", "escape"],
  ["\x1b\x1b[A", "escape", "up"],
  ["\r\x7f\x03\x0c\x15", "enter", "backspace", "quit", "redraw", "erase"],
  ["试🙂", "试", "🙂"],
];

for (const [sent, ...keys] of known) {
  Deno.test(`${JSON.stringify(sent)} is ${keys.join(", ")}`, () => assert.deepEqual(keysOf(sent), keys));
}

Deno.test("what no key of ours sends is left out whole", () => {
  // A mouse, Ctrl-right, Alt-x, and control characters.
  assert.deepEqual(keysOf("a\x1b[<0;1;1Mb\x1b[1;5Cc\x1bxd\x01\x00e"), ["a", "b", "c", "d", "e"]);
});

Deno.test("a key may come in two pieces", () => {
  const reader = new KeyReader();
  assert.deepEqual(["x\x1b[", "5", "~y\x1bO", "P", "\x1b"].map((text) => reader.read(text)), [
    ["x"],
    [],
    ["page up", "y"],
    ["F1"],
    ["escape"],
  ]);
});
