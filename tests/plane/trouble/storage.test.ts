import assert from "node:assert/strict";
import { explainNoStorage } from "../../../src/checks/storage.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { pinsOf } from "../../lab/mda.ts";
import { createNetns } from "../../lab/netns.ts";
import { Commands } from "./commands.ts";

Deno.test("where a socket can have no storage mda does not start, and says why", async () => {
  await using cgroup = createCgroup("storage");
  await using netns = await createNetns("storage");
  await using mda = new Commands(cgroup);
  // What a socket may have for its storages: sk_storage_charge().
  await netns.sysctl("net.core.optmem_max", 64);
  for (const command of ["run", "enable"] as const) {
    assert.match(
      await mda.refused(command, { place: { netns } }),
      /^mda: Cannot create a socket storage \(bpf_sk_storage_get\): ENOMEM, and without one no connection can be accelerated; net\.core\.optmem_max is 64 .*; sysctl -w net\.core\.optmem_max=131072$/m,
    );
    assert.equal(pinsOf(mda.pinDir), undefined);
  }
});

const optmemMax = 131_072;
const x86 = (flags: string) => `processor\t: 0\nflags\t\t: fpu vme ${flags}\nbugs\t\t: swapgs\n`;
const arm64 = (features: string) => `processor\t: 0\nFeatures\t: fp asimd ${features}\nCPU part\t: 0xd03\n`;

Deno.test("a CPU without a double-word exchange is named from Linux 7.2 on", () => {
  for (const release of ["7.2.0", "7.2.13+deb14-cloud-amd64", "7.10.1", "8.0.0-rc1"]) {
    const { cause, remedy } = explainNoStorage({ release, cpuinfo: x86("cx8 sse2"), optmemMax });
    assert.ok(
      cause.startsWith(
        `Linux ${release} takes it from kmalloc_nolock(), which needs the instruction cmpxchg16b`,
      ),
    );
    assert.match(cause, /no cx16 in \/proc\/cpuinfo/);
    assert.match(remedy, /a CPU model with cx16 .*a kernel before 7\.2/);
  }
  const { cause, remedy } = explainNoStorage({ release: "7.2.13-arm64", cpuinfo: arm64("crc32"), optmemMax });
  assert.match(
    cause,
    /needs the atomic instructions of Armv8\.1 \(LSE\), and this CPU has none \(no atomics /,
  );
  assert.match(remedy, /a CPU model with LSE/);
});

Deno.test("a CPU is not blamed that has it, nor on an older kernel", () => {
  for (
    const [release, cpuinfo] of [
      ["7.2.13", x86("cx16")],
      ["7.2.13", arm64("atomics")],
      ["7.2.13", ""],
      ["7.1.9", x86("cx8")],
      ["6.12.0", arm64("crc32")],
    ]
  ) {
    const { cause, remedy } = explainNoStorage({ release, cpuinfo, optmemMax });
    assert.equal(cause, `Linux ${release} says no more than that`);
    assert.match(remedy, /MDA_DEBUG=1/);
  }
});
