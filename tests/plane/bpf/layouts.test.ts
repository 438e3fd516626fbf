import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { layouts } from "../../../src/generated/layouts.ts";
import { generateAbi } from "../../../src/generated/generator/abi.ts";
import { generateLayouts } from "../../../src/generated/generator/layouts.ts";
import { generateReasons } from "../../../src/generated/generator/reasons.ts";
import { readStruct, type StructInput, writeStruct } from "../../../src/libbpf/struct.ts";
import { fixture } from "./compile.ts";

const path = (name: string) => fileURLToPath(new URL(`../../../${name}`, import.meta.url));

/** A struct that is inside of others. */
const label = {
  size: 8,
  fields: {
    prefix_bits: { offset: 0, size: 4, type: "u32" },
    address: { offset: 4, size: 4, type: "u8", length: 4 },
  },
} as const;

/** The module that the generator writes for the fixture. */
async function generateFixture(): Promise<{ text: string; module: Record<string, unknown> }> {
  const text = await generateLayouts(fixture("sample"));
  return { text, module: await import(`data:application/typescript,${encodeURIComponent(text)}`) };
}

Deno.test("layouts.ts is what the BPF object says", async () => {
  assert.equal(
    await Deno.readTextFile(path("src/generated/layouts.ts")),
    await generateLayouts(path("build/mda.bpf.o")),
    "src/generated/layouts.ts is stale: run src/generated/generate.ts",
  );
});

Deno.test("a lane takes a slab of 512 bytes, with what the kernel adds to it", () => {
  // Before the lane are the 64 bytes of struct bpf_local_storage_elem, and a pointer.
  assert.ok(64 + 8 + layouts.lane.size <= 512, `${layouts.lane.size}`);
});

Deno.test("abi.ts is what the headers say", async () => {
  assert.equal(
    await Deno.readTextFile(path("src/generated/abi.ts")),
    await generateAbi(),
    "src/generated/abi.ts is stale: run src/generated/generate.ts",
  );
});

Deno.test("reasons.ts is what bpf/reasons.h says", async () => {
  assert.equal(
    await Deno.readTextFile(path("src/generated/reasons.ts")),
    await generateReasons(),
    "src/generated/reasons.ts is stale: run src/generated/generate.ts",
  );
});

Deno.test("the generator finds every kind of field, map, enum and constant", async () => {
  const { text, module } = await generateFixture();
  assert.deepEqual(module.layouts, {
    label,
    record: {
      size: 56,
      fields: {
        name: { offset: 0, size: 8, type: "char", length: 8 },
        color: { offset: 8, size: 4, type: "enum color" },
        ready: { offset: 12, size: 1, type: "bool" },
        bytes: { offset: 13, size: 3, type: "u8", length: 3 },
        signed_words: { offset: 16, size: 4, type: "s16", length: 2 },
        labels: { offset: 20, size: 16, type: "label", length: 2 },
        difference: { offset: 40, size: 8, type: "s64" },
        whole: { offset: 48, size: 4, type: "u32" },
        parts: { offset: 48, size: 4, type: "u8", length: 4 },
      },
    },
  });
  assert.deepEqual(module.enums, { color: { RED: 1, GREEN: 2 } });
  assert.deepEqual((module.maps as Record<string, unknown>).prefixes, {
    type: 11,
    maxEntries: 16,
    key: "label",
    value: "u64",
  });
  assert.deepEqual(module.variables, {
    counting: "bool",
    limit: "u32",
    other_limit: "u32",
    small: "u8",
    step: "u64",
  });
  assert.equal(text, (await generateFixture()).text);
});

const recordLayouts = {
  label,
  record: {
    size: 40,
    fields: {
      name: { offset: 0, size: 8, type: "char", length: 8 },
      color: { offset: 8, size: 4, type: "enum color" },
      ready: { offset: 12, size: 1, type: "bool" },
      words: { offset: 14, size: 4, type: "s16", length: 2 },
      labels: { offset: 20, size: 16, type: "label", length: 2 },
      small: { offset: 36, size: 1, type: "s8" },
    },
  },
} as const;

Deno.test("a struct that is written is read back", () => {
  const record = {
    name: "größe",
    color: 2,
    ready: true,
    words: [-32768, 32767],
    labels: [
      { prefix_bits: 32, address: new Uint8Array([10, 0, 0, 1]) },
      { prefix_bits: 8, address: new Uint8Array([11, 0, 0, 0]) },
    ],
    small: -1,
  };
  const bytes = writeStruct(recordLayouts, "record", record);
  assert.equal(bytes.length, 40);
  assert.deepEqual(readStruct(recordLayouts, "record", bytes), record);
  const shifted = writeStruct(recordLayouts, "record", record, new Uint8Array(50), 7);
  assert.deepEqual(readStruct(recordLayouts, "record", shifted, 7), record);
});

Deno.test("fields that are not given are zero, or as they were", () => {
  const bytes = writeStruct(recordLayouts, "record", { color: 1 });
  writeStruct(recordLayouts, "record", { ready: true }, bytes);
  assert.deepEqual([...bytes].filter((byte) => byte !== 0), [1, 1]);
  writeStruct(recordLayouts, "record", { name: "longer" }, bytes);
  writeStruct(recordLayouts, "record", { name: "cut" }, bytes);
  assert.equal(readStruct(recordLayouts, "record", bytes).name, "cut");
});

Deno.test("64-bit fields are written from numbers and read as bigint", () => {
  const bytes = writeStruct(layouts, "rule_bits", { words: [1, 2n, (1n << 64n) - 1n] });
  assert.deepEqual(readStruct(layouts, "rule_bits", bytes).words, [1n, 2n, (1n << 64n) - 1n, 0n]);
});

Deno.test("a value that its field cannot hold is refused by the field's name", () => {
  const refuse = (value: StructInput<typeof recordLayouts, "record">, message: RegExp) => {
    assert.throws(() => writeStruct(recordLayouts, "record", value), message);
  };
  refuse({ name: "12345678" }, /^RangeError: Cannot write record.name: 8 elements do not fit into 7/);
  refuse({ color: -1 }, /^RangeError: Cannot write record.color: -1 does not fit into a enum color/);
  refuse({ small: 128 }, /^RangeError: Cannot write record.small: 128 does not fit into a s8/);
  refuse({ words: [1, 2, 3] }, /^RangeError: Cannot write record.words: 3 elements do not fit into 2/);
  refuse(
    { labels: [{ prefix_bits: 2 ** 32 }] },
    /record.labels: .*label.prefix_bits: 4294967296 does not fit/,
  );
  // @ts-expect-error: TypeScript knows the fields.
  refuse({ colour: 1 }, /^TypeError: Cannot write record.colour: the struct has no such field/);
  assert.throws(
    () => readStruct(recordLayouts, "record", new Uint8Array(39)),
    /^RangeError: Cannot find a struct record in 39 bytes: it has 40/,
  );
});
