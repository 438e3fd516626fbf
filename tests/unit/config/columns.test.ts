import assert from "node:assert/strict";
import { columnsOf } from "../../../src/text/visible.ts";

Deno.test("a terminal's columns are counted for every kind of character", () => {
  const columns = {
    "chain": 5,
    "é": 1,
    "e\u0301": 1,
    "试": 2,
    "かな": 4,
    "한국": 4,
    "🙂": 2,
    "ａ": 2,
    "ｱ": 1,
    "—": 1,
    "\x1b": 4,
  };
  for (const [text, count] of Object.entries(columns)) assert.equal(columnsOf(text), count, text);
});
