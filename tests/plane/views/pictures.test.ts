import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { findCgroup2 } from "../../../src/host/cgroup.ts";
import { run } from "../../lab/program.ts";

const pictures = fileURLToPath(new URL("../../../packaging/demo/pictures.ts", import.meta.url));

Deno.test("./build.sh pictures makes a picture of each command, and leaves nothing behind", async () => {
  const directory = Deno.makeTempDirSync({ prefix: "mda-test-" });
  try {
    const deno = [Deno.execPath(), "run", "--quiet", "--no-check", "--frozen", "--allow-all"];
    await run({}, [...deno, pictures, directory], { timeoutMs: 120_000 });
    assert.deepEqual([...Deno.readDirSync(directory)].map(({ name }) => name).sort(), [
      "conns.svg",
      "doctor.svg",
      "explain.svg",
      "top.svg",
    ]);
    const conns = Deno.readTextFileSync(`${directory}/conns.svg`);
    // Why it was refused, in which width, is for conns' own tests.
    for (const shown of ["redirected", "refused"]) assert.ok(conns.includes(shown), conns);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
  for (
    const path of [`${findCgroup2()}/mda-pictures`, "/sys/fs/bpf/mda-pictures", "/run/mda-pictures.conf"]
  ) {
    assert.ok(!existsSync(path), path);
  }
});
