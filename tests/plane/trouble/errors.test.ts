import assert from "node:assert/strict";
import { BpfMap } from "../../../src/libbpf/map.ts";
import { u32, u64 } from "../../../src/libbpf/struct.ts";
import { errnoNumber } from "../../../src/host/libc/errno.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { Mda, runMda } from "../../lab/mda.ts";
import { freeAddress, labelsKey, scrape } from "../metrics/scrape.ts";

Deno.test("an error of the sockhash that has no counter is told by its name", async () => {
  await using cgroup = createCgroup("errors");
  const { address, url } = freeAddress();
  await using mda = await Mda.start({ cgroup, args: ["--metrics", address] });
  assert.deepEqual((await mda.status()).refused_errors, {});
  {
    // No kernel that these tests run on has another error than those that have counters.
    using errors = BpfMap.openPinned(`${mda.pinDir}/refused_errors`)!;
    errors.update(u32(errnoNumber("EOPNOTSUPP")), u64(1234n));
    errors.update(u32(errnoNumber("EINVAL")), u64(1n));
  }
  assert.deepEqual((await mda.status()).refused_errors, { EINVAL: 1, EOPNOTSUPP: 1234 });
  const { stdout } = await runMda(["--pin-dir", mda.pinDir, "status"]);
  assert.match(stdout, /^refused: error EINVAL from bpf_sock_hash_update {6}1$/m);
  assert.match(stdout, /^refused: error EOPNOTSUPP from bpf_sock_hash_update {2}1,234$/m);
  const refused = (await scrape(url)).get("mda_refused_connections_total")!.samples;
  assert.equal(refused.get(labelsKey({ reason: "error EOPNOTSUPP" })), 1234);
  await mda.stop();
});
