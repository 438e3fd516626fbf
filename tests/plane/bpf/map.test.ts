import assert from "node:assert/strict";
import { BpfError } from "../../../src/libbpf/errors.ts";
import { BpfLink } from "../../../src/libbpf/link.ts";
import { BPF_EXIST, BPF_NOEXIST, BpfMap } from "../../../src/libbpf/map.ts";
import { possibleCpus } from "../../../src/libbpf/per_cpu.ts";
import { type BpfObject, openObject } from "../../../src/libbpf/object.ts";
import { BpfProgram } from "../../../src/libbpf/program.ts";
import { u32, u64 } from "../../../src/libbpf/struct.ts";
import * as libc from "../../../src/host/libc/mod.ts";
import { assertClosesDescriptors } from "../../host/os/descriptors.ts";
import { ownPinDirectory } from "../../host/os/directories.ts";
import { compileFixture } from "./compile.ts";

const sample = compileFixture("sample");

function load(): BpfObject {
  const object = openObject(sample, "sample");
  object.load();
  return object;
}

function numbers(keys: Iterable<Uint8Array>): number[] {
  return [...keys].map((key) => new DataView(key.buffer, key.byteOffset).getUint32(0, true)).sort((a, b) =>
    a - b
  );
}

Deno.test("a value is what was last written, and gone when it is deleted", () => {
  using object = load();
  const table = object.map("table");
  assert.equal(table.lookup(u32(5)), undefined);
  table.update(u32(5), u64(50));
  table.update(u32(5), u64(51));
  assert.deepEqual(table.lookup(u32(5)), u64(51));
  assert.equal(table.delete(u32(5)), true);
  assert.equal(table.delete(u32(5)), false);
  assert.equal(table.lookup(u32(5)), undefined);
});

Deno.test("BPF_NOEXIST and BPF_EXIST are kept to", () => {
  using object = load();
  const table = object.map("table");
  assert.throws(() => table.update(u32(1), u64(1), BPF_EXIST), /^BpfError: Cannot update map table: ENOENT/);
  table.update(u32(1), u64(1), BPF_NOEXIST);
  assert.throws(
    () => table.update(u32(1), u64(1), BPF_NOEXIST),
    /^BpfError: Cannot update map table: EEXIST/,
  );
});

Deno.test("keys are each listed once, also while the reader deletes them", () => {
  using object = load();
  const table = object.map("table");
  const all = Array.from({ length: 1000 }, (_, i) => i);
  for (const i of all) table.update(u32(i), u64(i));
  assert.deepEqual(numbers(table.keys()), all);
  const met: Uint8Array[] = [];
  for (const key of table.keys()) {
    met.push(key);
    assert.ok(table.delete(key));
  }
  assert.deepEqual(numbers(met), all);
  assert.deepEqual([...table.keys()], []);
});

Deno.test("a listing ends, and repeats no key, while others delete and insert", () => {
  using object = load();
  const table = object.map("table");
  for (let i = 0; i < 500; i++) table.update(u32(i), u64(i));
  const met: Uint8Array[] = [];
  for (const key of table.keys()) {
    met.push(key);
    // Deletes keys that the listing stands at or has yet to come to, and puts others back.
    for (let i = 0; i < 500; i += 7) table.delete(u32(i));
    for (let i = 3; i < 500; i += 7) table.update(u32(i), u64(i));
  }
  const list = numbers(met);
  assert.equal(new Set(list).size, list.length);
  assert.ok(list.length <= 500);
});

Deno.test("a trie answers with the longest prefix", () => {
  using object = load();
  const prefixes = object.map("prefixes");
  const key = (bits: number, ...address: number[]) => new Uint8Array([...u32(bits), ...address]);
  prefixes.update(key(8, 10, 0, 0, 0), u64(8));
  prefixes.update(key(24, 10, 1, 2, 0), u64(24));
  assert.deepEqual(prefixes.lookup(key(32, 10, 1, 2, 3)), u64(24));
  assert.deepEqual(prefixes.lookup(key(32, 10, 9, 2, 3)), u64(8));
  assert.equal(prefixes.lookup(key(32, 11, 9, 2, 3)), undefined);
  assert.equal([...prefixes.keys()].length, 2);
});

function joined(all: Uint8Array[]): Uint8Array {
  return new Uint8Array(all.flatMap((bytes) => [...bytes]));
}

Deno.test("many values are set at once", () => {
  using object = load();
  const numbersTo = (count: number) => Array.from({ length: count }, (_, i) => i);
  const table = object.map("table");
  table.update(u32(7), u64(0));
  table.updateAll(joined(numbersTo(1000).map(u32)), joined(numbersTo(1000).map((i) => u64(i * i))));
  for (const i of numbersTo(1000)) assert.deepEqual(table.lookup(u32(i)), u64(i * i));
  table.updateAll(new Uint8Array(), new Uint8Array());
  assert.equal(numbers(table.keys()).length, 1000);
  assert.throws(
    () => table.updateAll(joined(numbersTo(1100).map(u32)), joined(numbersTo(1100).map(u64))),
    /^BpfError: Cannot update map table: E2BIG/,
  );
  const uneven = /Cannot update map table: 6 and 8 bytes are not as many keys of 4 as values of 8/;
  assert.throws(() => table.updateAll(new Uint8Array(6), u64(1)), uneven);
  assert.throws(() => table.updateAll(u64(1), u64(1)), RangeError);
});

Deno.test("many values are set one by one in a map without batch commands", () => {
  using object = load();
  const fds = [1, 2, 3].map(() => libc.socket(libc.AF_INET, libc.SOCK_STREAM));
  try {
    for (const fd of fds) {
      libc.bind(fd, "127.0.0.1", 0);
      libc.listen(fd);
    }
    const sockets = object.map("sockets");
    sockets.updateAll(joined(fds.map((_, index) => u64(index))), joined(fds.map(u64)));
    assert.equal([...sockets.keys()].length, fds.length);
  } finally {
    fds.forEach(libc.close);
  }
});

Deno.test("a per-CPU map has a value for every possible CPU", () => {
  using object = load();
  const values = object.map("counts").lookupPerCpu(u32(0))!;
  assert.equal(values.length, possibleCpus());
  assert.deepEqual(values[0], u32(0));
  assert.equal(object.map("counts").lookupPerCpu(u32(1)), undefined);
});

Deno.test("buffers of the wrong size or kind never reach the kernel", () => {
  using object = load();
  const table = object.map("table");
  assert.throws(() => table.lookup(u64(1)), /Cannot use a key of 8 bytes on map table: its keys have 4/);
  assert.throws(() => table.delete(u64(1)), /Cannot use a key of 8 bytes on map table: its keys have 4/);
  assert.throws(() => table.update(u32(1), u32(1)), /Cannot update map table: a value has 8 bytes, not 4/);
  assert.throws(() => table.lookupPerCpu(u32(1)), /Cannot look up .*table.*: it has one value for all CPUs/);
  assert.throws(
    () => object.map("counts").lookup(u32(0)),
    /Cannot look up .*counts.*: it has a value for each CPU/,
  );
});

Deno.test("a full map says so", () => {
  using object = openObject(sample, "sample", { maxEntries: { table: 2 } });
  object.load();
  const table = object.map("table");
  table.update(u32(1), u64(1));
  table.update(u32(2), u64(2));
  assert.throws(() => table.update(u32(3), u64(3)), /Cannot update map table: E2BIG/);
});

Deno.test("a pinned map outlives the object and is found again", () => {
  using directory = ownPinDirectory("map");
  const path = `${directory.path}/table`;
  assertClosesDescriptors(() => {
    {
      using object = load();
      object.map("table").update(u32(1), u64(11));
      object.map("table").pin(path);
      assert.throws(() => object.map("table").pin(path), /Cannot pin map table at \S+: EEXIST/);
    }
    using map = BpfMap.openPinned(path, { type: 1, keyBytes: 4, valueBytes: 8, maxEntries: 1024 })!;
    assert.deepEqual(map.lookup(u32(1)), u64(11));
    map.unpin(path);
    map.unpin(path);
    assert.deepEqual(map.lookup(u32(1)), u64(11));
    assert.equal(BpfMap.openPinned(path), undefined);
  });
});

Deno.test("what is pinned must be what is expected", () => {
  using directory = ownPinDirectory("expected");
  using object = load();
  const path = `${directory.path}/it`;
  assertClosesDescriptors(() => {
    object.map("table").pin(path);
    assert.throws(
      () => BpfMap.openPinned(path, { valueBytes: 16 }),
      /Cannot use the map pinned at \S+: its valueBytes is 8 and not 16; it belongs to another program/,
    );
    assert.throws(() => BpfLink.openPinned(path), /Cannot use \S+ as a BPF link: it is a BPF map/);
    assert.throws(() => BpfProgram.openPinned(path), /Cannot use \S+ as a BPF prog: it is a BPF map/);
  });
});

Deno.test("pinning outside a bpffs is refused with the path", () => {
  using object = load();
  assert.throws(() => object.map("table").pin("/tmp/no-bpffs"), (error: BpfError) => {
    assert.match(error.message, /^Cannot pin map table at \/tmp\/no-bpffs: E(PERM|INVAL)/);
    return error instanceof BpfError;
  });
});

Deno.test("a closed map is refused", () => {
  using directory = ownPinDirectory("closed");
  const path = `${directory.path}/table`;
  using object = load();
  object.map("table").pin(path);
  const map = BpfMap.openPinned(path)!;
  map.close();
  map.close();
  assert.throws(() => map.lookup(u32(1)), /Cannot use map table: it is closed/);
});
