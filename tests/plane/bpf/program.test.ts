import { setTimeout as sleep } from "node:timers/promises";
import assert from "node:assert/strict";
import { openCgroup } from "../../../src/host/cgroup.ts";
import { abiEnums } from "../../../src/generated/abi.ts";
import { BpfLink } from "../../../src/libbpf/link.ts";
import type { BpfMap } from "../../../src/libbpf/map.ts";
import { type BpfObject, openObject, type OpenOptions } from "../../../src/libbpf/object.ts";
import { BpfProgram } from "../../../src/libbpf/program.ts";
import { u32 } from "../../../src/libbpf/struct.ts";
import { assertClosesDescriptors } from "../../host/os/descriptors.ts";
import { ownCgroup, ownPinDirectory } from "../../host/os/directories.ts";
import { compileFixture } from "./compile.ts";

const sample = compileFixture("sample");

function load(options: OpenOptions = {}): BpfObject {
  const object = openObject(sample, "sample", options);
  object.load();
  return object;
}

function attach(program: ReturnType<BpfObject["program"]>, cgroup: string): BpfLink {
  using directory = openCgroup(cgroup);
  return program.attachCgroup(directory.fd);
}

/** Opens a TCP connection from a process inside the cgroup. */
function connectFrom(cgroup: string): void {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const script = `echo $$ > ${cgroup}/cgroup.procs && exec 3<>/dev/tcp/127.0.0.1/${port}`;
  const { success } = new Deno.Command("timeout", { args: ["10", "bash", "-c", script] }).outputSync();
  assert.ok(success, "the connection failed");
}

function total(counts: BpfMap): number {
  const values = counts.lookupPerCpu(u32(0))!;
  return values.reduce((sum, value) => sum + new DataView(value.buffer).getUint32(0, true), 0);
}

Deno.test("a program attached to a cgroup runs for its processes, with the constants it was given", () => {
  using cgroup = ownCgroup("attach");
  assertClosesDescriptors(() => {
    using object = load({ rodata: { counting: true, step: 5 } });
    const counts = object.map("counts");
    connectFrom(cgroup.path);
    assert.equal(total(counts), 0);
    {
      using link = attach(object.program("count_connects"), cgroup.path);
      connectFrom(cgroup.path);
      assert.equal(total(counts), 5);
      const { type, programId, cgroupId } = link.info();
      assert.equal(type, abiEnums.bpf_link_type.BPF_LINK_TYPE_CGROUP);
      assert.equal(programId, object.program("count_connects").info.id);
      assert.equal(cgroupId, BigInt(Deno.statSync(cgroup.path).ino!));
    }
    connectFrom(cgroup.path);
    assert.equal(total(counts), 5);
  });
});

Deno.test("a pinned link stays attached until it is unpinned", () => {
  using cgroup = ownCgroup("pinned");
  using directory = ownPinDirectory("pinned");
  const path = `${directory.path}/link`;
  assertClosesDescriptors(() => {
    using object = load({ rodata: { counting: true } });
    const counts = object.map("counts");
    {
      using link = attach(object.program("count_connects"), cgroup.path);
      link.pin(path);
    }
    connectFrom(cgroup.path);
    assert.equal(total(counts), 1);
    {
      using link = BpfLink.openPinned(path)!;
      link.unpin();
      assert.equal(BpfLink.openPinned(path), undefined);
      connectFrom(cgroup.path);
      assert.equal(total(counts), 2);
    }
    connectFrom(cgroup.path);
    assert.equal(total(counts), 2);
  });
});

Deno.test("a detached link does nothing, although it is pinned", () => {
  using cgroup = ownCgroup("detached");
  using directory = ownPinDirectory("detached");
  using object = load({ rodata: { counting: true } });
  using link = attach(object.program("count_connects"), cgroup.path);
  link.pin(`${directory.path}/link`);
  link.detach();
  connectFrom(cgroup.path);
  assert.equal(total(object.map("counts")), 0);
  assert.equal(link.info().cgroupId, 0n);
  link.unpin();
});

Deno.test("a link outlives its cgroup", async () => {
  using object = load();
  const cgroup = ownCgroup("gone");
  using link = attach(object.program("count_connects"), cgroup.path);
  cgroup[Symbol.dispose]();
  // The kernel detaches some time after the rmdir, in cgroup_bpf_release().
  const deadline = Date.now() + 5000;
  while (link.info().cgroupId !== 0n && Date.now() < deadline) {
    await sleep(10);
  }
  assert.equal(link.info().cgroupId, 0n);
});

Deno.test("a closed link is refused", () => {
  using cgroup = ownCgroup("closed");
  using object = load();
  const link = attach(object.program("count_connects"), cgroup.path);
  link.close();
  link.close();
  assert.throws(() => link.info(), /Cannot use a link: it is closed/);
});

Deno.test("two programs share a cgroup", () => {
  using cgroup = ownCgroup("shared");
  using first = load({ rodata: { counting: true } });
  using second = load({ rodata: { counting: true } });
  using _one = attach(first.program("count_connects"), cgroup.path);
  using _two = attach(second.program("count_connects"), cgroup.path);
  connectFrom(cgroup.path);
  assert.deepEqual([total(first.map("counts")), total(second.map("counts"))], [1, 1]);
});

Deno.test("a cgroup that another program holds exclusively is explained", () => {
  using cgroup = ownCgroup("exclusive");
  using directory = ownPinDirectory("exclusive");
  using object = load();
  const path = `${directory.path}/program`;
  object.program("count_connects").pin(path);
  const bpftool = (verb: string) => {
    const args = ["cgroup", verb, cgroup.path, "sock_ops", "pinned", path];
    assert.ok(new Deno.Command("bpftool", { args }).outputSync().success);
  };
  bpftool("attach");
  try {
    assertClosesDescriptors(() => {
      assert.throws(
        () => attach(object.program("count_connects"), cgroup.path),
        /^BpfError: Cannot attach program count_connects to \S+exclusive\S+: EPERM .*; .*exclusively: `bpftool cgroup tree`/,
      );
    });
  } finally {
    bpftool("detach");
  }
});

Deno.test("a program is attached to a sockhash and detached from it", () => {
  using object = load();
  const sockets = object.map("sockets");
  object.program("pass").attachToSockets(sockets);
  object.program("pass").detachFromSockets(sockets);
  assert.throws(
    () => object.program("pass").detachFromSockets(sockets),
    /^BpfError: Cannot detach program pass from sockhash sockets: ENOENT/,
  );
  assert.throws(
    () => object.program("count_connects").attachToSockets(sockets),
    /^BpfError: Cannot attach program count_connects to sockhash sockets: EINVAL/,
  );
});

Deno.test("a pinned program is found again and can be attached", () => {
  using directory = ownPinDirectory("program");
  const path = `${directory.path}/pass`;
  assertClosesDescriptors(() => {
    using object = load();
    object.program("pass").pin(path);
    using program = BpfProgram.openPinned(path)!;
    assert.deepEqual(program.info, object.program("pass").info);
    program.attachToSockets(object.map("sockets"));
    object.program("pass").detachFromSockets(object.map("sockets"));
    program.unpin(path);
    assert.equal(BpfProgram.openPinned(path), undefined);
  });
});

Deno.test("a program that user space runs changes its packet and returns a number", () => {
  assertClosesDescriptors(() => {
    using object = load();
    const packet = new Uint8Array(100);
    packet[0] = 20;
    packet[99] = 3;
    assert.equal(object.program("add").runOn(packet), packet.length);
    assert.equal(packet[1], 23);
    assert.throws(() => object.program("add").runOn(new Uint8Array(4)), /Cannot run program add: EINVAL/);
  });
});

Deno.test("an iterator is read to its end, however much it writes", () => {
  assertClosesDescriptors(() => {
    const objects = Array.from({ length: 20 }, () => load());
    try {
      const bytes = objects[0]!.program("much").iterate();
      // Six maps an object, and .rodata; 1000 bytes each.
      assert.ok(bytes.length > 65536, `only ${bytes.length} bytes`);
      assert.equal(bytes.length % 1000, 0);
    } finally {
      for (const object of objects) object.close();
    }
  });
});
