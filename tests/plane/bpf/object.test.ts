import assert from "node:assert/strict";
import { BpfError } from "../../../src/libbpf/errors.ts";
import { openObject } from "../../../src/libbpf/object.ts";
import { u32 } from "../../../src/libbpf/struct.ts";
import { callElsewhere } from "../../host/os/elsewhere.ts";
import { assertClosesDescriptors, openDescriptors } from "../../host/os/descriptors.ts";
import { compileFixture } from "./compile.ts";

const sample = compileFixture("sample");

function bpfError(run: () => void): BpfError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof BpfError, String(error));
    return error;
  }
  assert.fail("nothing was thrown");
}

Deno.test("a loaded object gives its maps and programs, and closing it closes them", () => {
  assertClosesDescriptors(() => {
    const before = openDescriptors().length;
    using object = openObject(sample, "sample");
    object.load();
    assert.ok(openDescriptors().length > before);
    assert.equal(object.map("table").info.name, "table");
    assert.equal(object.map("table"), object.map("table"));
    assert.equal(object.program("count_connects").info.name, "count_connects");
    assert.match(object.program("pass").info.tag, /^[0-9a-f]{16}$/);
  });
});

Deno.test("handles of a closed object are refused", () => {
  const object = openObject(sample, "sample");
  object.load();
  const map = object.map("table");
  const program = object.program("pass");
  object.close();
  object.close();
  assert.throws(() => map.lookup(u32(1)), /Cannot use map table: it is closed/);
  assert.throws(() => program.iterate(), /Cannot use program pass: it is closed/);
  assert.throws(() => object.load(), /Cannot use BPF object sample: it is closed/);
});

Deno.test("closing a map of an object leaves it usable", () => {
  using object = openObject(sample, "sample");
  object.load();
  object.map("table").close();
  assert.equal(object.map("table").lookup(u32(1)), undefined);
});

Deno.test("constants are set by name before the load", () => {
  using object = openObject(sample, "sample", { rodata: { counting: true, small: 7, step: 1n << 40n } });
  object.load();
  const bytes = object.map(".rodata").lookup(u32(0))!;
  // The order is the compiler's own affair.
  const words = new BigUint64Array(bytes.buffer, 0, Math.floor(bytes.length / 8));
  assert.ok(words.includes(1n << 40n));
  assert.ok(bytes.includes(7));
});

Deno.test("a global that is no constant is set by name before the load, and changed after it", () => {
  using object = openObject(sample, "sample", { data: { limit: 5 } });
  object.load();
  const values = () => [...new Uint32Array(object.map(".data").lookup(u32(0))!.buffer)].sort();
  assert.deepEqual(values(), [200, 5]);
  object.change({ limit: 7 });
  assert.deepEqual(values(), [200, 7]);
  assert.throws(
    () => object.change({ step: 1 }),
    /^Error: Cannot set step in BPF object sample: its variables are .*limit/,
  );
});

Deno.test("a constant that the object does not have, or cannot hold, is refused by name", () => {
  assertClosesDescriptors(() => {
    assert.throws(
      () => openObject(sample, "sample", { rodata: { count: 1 } }),
      /^Error: Cannot set count in BPF object sample: its constants are .*counting/,
    );
    assert.throws(
      () => openObject(sample, "sample", { rodata: { small: 256 } }),
      /^RangeError: Cannot set small in BPF object sample: 256 does not fit into a u8/,
    );
  });
});

Deno.test("a map has the size that it is given", () => {
  using object = openObject(sample, "sample", { maxEntries: { table: 5 } });
  object.load();
  assert.equal(object.map("table").info.maxEntries, 5);
});

Deno.test("a program that is not wanted is not loaded", () => {
  using object = openObject(sample, "sample", { autoload: { pass: false } });
  object.load();
  assert.equal(object.program("count_connects").info.name, "count_connects");
  assert.match(bpfError(() => object.program("pass")).message, /^Cannot use program pass of sample: /);
});

Deno.test("two objects share a map that is reused", () => {
  using first = openObject(sample, "sample");
  first.load();
  using second = openObject(sample, "sample", { reuse: { table: first.map("table") } });
  second.load();
  first.map("table").update(u32(1), new Uint8Array(8).fill(9));
  assert.deepEqual(second.map("table").lookup(u32(1)), new Uint8Array(8).fill(9));
  assert.equal(second.map("table").info.id, first.map("table").info.id);
});

Deno.test("a name that the object does not have is refused", () => {
  using object = openObject(sample, "sample");
  object.load();
  assert.match(
    bpfError(() => object.map("nothing")).message,
    /^Cannot find map nothing in BPF object sample: ENOENT/,
  );
  assert.match(
    bpfError(() => object.program("nothing")).message,
    /^Cannot find program nothing in BPF object sample: ENOENT/,
  );
});

Deno.test("the verifier's reason is in the error, its log cut to the end", () => {
  const bytes = compileFixture("rejected");
  assertClosesDescriptors(() => {
    const error = bpfError(() => {
      using object = openObject(bytes, "rejected");
      object.load();
    });
    assert.equal(error.code, "EACCES");
    assert.match(error.message, /^Cannot load BPF object rejected: EACCES \(Permission denied\)\n/);
    assert.match(error.message, /invalid mem access/);
    assert.match(error.message, /the verifier's log \(the last 20 of \d+ lines; MDA_DEBUG=1 shows all\):/);
    assert.match(error.message, /libbpf: .*\breads_a_number_as_a_pointer\b/);
    assert.ok(error.verifierLog.length > 20);
    assert.ok(error.message.split("\n").length < 30);
  });
});

Deno.test("MDA_DEBUG=1 shows the verifier's whole log", async () => {
  const call = (env: Record<string, string>) =>
    callElsewhere("tests/plane/bpf/load_sample.ts", "loadFixture", ["rejected"], { env });
  const [cut, whole] = await Promise.all([call({}), call({ MDA_DEBUG: "1" })]);
  assert.ok(whole.error!.split("\n").length > cut.error!.split("\n").length);
  assert.match(whole.error!, /the verifier's log:\n/);
});

Deno.test("bytes that are no BPF object are refused with libbpf's words", () => {
  const error = bpfError(() => openObject(new Uint8Array(100), "nothing"));
  assert.match(error.message, /^Cannot open BPF object nothing: .*\n {2}libbpf: .*\bELF\b/);
});

Deno.test("a user without privileges is told EPERM", async () => {
  const bytes = [...sample];
  const { error } = await callElsewhere("tests/plane/bpf/load_sample.ts", "loadBytes", [bytes], {
    asNobody: true,
  });
  assert.match(error!, /^Cannot load BPF object sample: EPERM \(Operation not permitted\)/);
});

Deno.test("errors stay right when they come by the thousand", () => {
  // Deno compiles a foreign function that is called often to machine code, which must still let libbpf call
  // back.
  assertClosesDescriptors(() => {
    for (let i = 0; i < 5000; i++) {
      const error = bpfError(() => openObject(new Uint8Array(10), `nothing${i}`));
      assert.ok(error.message.split("libbpf: ")[1]?.includes(`nothing${i}`), error.message);
    }
  });
});
