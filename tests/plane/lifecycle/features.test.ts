/** What a kernel may lack. */
import assert from "node:assert/strict";
import { enums } from "../../../src/generated/layouts.ts";
import { type HookKind, probeKernel } from "../../../src/checks/features.ts";
import { hookPrograms } from "../../../src/plane/programs/hooks.ts";
import { loadDataPlane } from "../../../src/plane/object.ts";

Deno.test("the data plane loads where programs must not look at descriptors, cast addresses or know epoll", () => {
  const features = {
    constants: {
      casts_addresses: false,
      can_dump: false,
      charges_receiver: false,
      epoll_callback: 0n,
      registers_at: 0,
      fionread_counts: enums.fionread_counts.FIONREAD_TCP,
    },
    iterates_files: false,
    sees_resets: false,
    hooks: "none" as const,
  };
  using object = loadDataPlane({ features, allSockets: false, unknownPrograms: "learn" });
  for (const name of ["follow", "redirect", "drain", "judge"]) assert.ok(object.program(name).info.id > 0);
  for (const name of ["scan_sockets", "find_readers", ...Object.keys(hookPrograms(features))]) {
    assert.throws(() => object.program(name), /ENOENT/, name);
  }
});

for (const hooks of ["tracepoints", "system calls"] satisfies HookKind[]) {
  Deno.test(`the data plane loads with hooks at ${hooks}`, () => {
    const features = { ...probeKernel(), hooks };
    using object = loadDataPlane({ features, allSockets: false, unknownPrograms: "fast" });
    for (const [name, wanted] of Object.entries(hookPrograms(features))) {
      if (wanted) assert.ok(object.program(name).info.id > 0, name);
    }
  });
}

Deno.test("this kernel's features are found out by trying", () => {
  const { constants, iterates_files, hooks } = probeKernel();
  assert.ok(iterates_files);
  assert.notEqual(hooks, "none");
  // A kernel address.
  assert.equal(constants.epoll_callback >> 47n, 0x1ffffn);
  // Near the top of a stack of 16 or 32 KiB.
  assert.ok([16384, 32768].some((size) => size - constants.registers_at < 512), `${constants.registers_at}`);
});
