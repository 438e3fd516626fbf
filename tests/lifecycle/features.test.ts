/** What a kernel may lack. */
import assert from "node:assert/strict";
import { probeKernel } from "../../src/plane/features.ts";
import { loadDataPlane } from "../../src/plane/object.ts";

Deno.test("the data plane loads where programs must not look at descriptors, cast addresses or know epoll", () => {
  const { constants } = probeKernel();
  const features = {
    constants: { ...constants, casts_addresses: false, charges_receiver: false, epoll_callback: 0n },
    iterates_files: false,
  };
  using object = loadDataPlane({ features, allSockets: false });
  for (const name of ["follow", "redirect", "drain", "judge"]) assert.ok(object.program(name).info.id > 0);
  for (const name of ["find_strangers", "find_readers"]) assert.throws(() => object.program(name), /ENOENT/);
});

Deno.test("this kernel's features are found out by trying", () => {
  const { constants, iterates_files } = probeKernel();
  assert.ok(iterates_files);
  // A kernel address.
  assert.equal(constants.epoll_callback >> 47n, 0x1ffffn);
});
