/** Lists of thousands: read no further than is asked for, and printed as short ones are. */
import assert from "node:assert/strict";
import { layouts } from "../../../src/generated/layouts.ts";
import { readStruct, readStructs } from "../../../src/libbpf/struct.ts";
import { structViewer, viewStructs } from "../../../src/libbpf/struct_view.ts";
import { fit, tableLines } from "../../../src/output/table.ts";

Deno.test("a field that is read when it is asked for is the same as one that is read at once", () => {
  for (const name of ["listed_socket", "listed_lane"] as const) {
    const { size, fields } = layouts[name];
    const bytes = crypto.getRandomValues(new Uint8Array(3 * size + 1));
    const viewed = viewStructs(layouts, name, bytes);
    const read = readStructs(layouts, name, bytes);
    assert.equal(viewed.length, 3);
    const at = structViewer(layouts, name, bytes)(size + 1);
    const shifted = readStruct(layouts, name, bytes, size + 1);
    for (const field of Object.keys(fields) as (keyof typeof at)[]) {
      for (const index of [0, 1, 2]) assert.deepEqual(viewed[index][field], read[index][field], field);
      assert.deepEqual(at[field], shifted[field], field);
    }
  }
});

Deno.test("a table has as many lines as rows, of one width, also where characters are wide and cells are cut", () => {
  const rows = ["a", "\u65e5\u672c\u8a9e", "e\u0301", "longer than the rest"];
  const columns = [
    { title: "NAME", rank: 1, least: 5, value: (row: string) => row },
    { title: "N", rank: 1, right: true, value: (row: string) => String(row.length) },
  ];
  assert.deepEqual(tableLines(columns, rows), [
    "NAME                   N",
    "a                      1",
    "\u65e5\u672c\u8a9e                 3",
    "e\u0301                      2",
    "longer than the rest  20",
  ]);
  assert.deepEqual(tableLines(columns, rows, 9), [
    "NAME    N",
    "a       1",
    "\u65e5\u672c\u2026   3",
    "e\u0301       2",
    "long\u2026  20",
  ]);
  assert.equal(fit("12345", 3, true), "12\u2026");
});

Deno.test("a table may have more rows than a call has room for arguments", () => {
  const rows = Array.from({ length: 300_000 }, (_, index) => index);
  const lines = tableLines([{ title: "N", rank: 1, right: true, value: String }], rows);
  assert.deepEqual([lines.length, lines[0], lines[1]], [300_001, "     N", "     0"]);
});
