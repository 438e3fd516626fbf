/** MDA_UNKNOWN, which says the same as --unknown. */
import assert from "node:assert/strict";
import { createCgroup } from "../../lab/cgroup.ts";
import { binary, newPinDir, pinsOf, removePins, statusOf, writeConfig } from "../../lab/mda.ts";
import { type Output, start, tryRun } from "../../lab/program.ts";

/** Runs a command on a cgroup and a pin directory of its own, which it must leave alone. */
async function withUnknown(value: string, argv0: string, word: string): Promise<Output> {
  await using cgroup = createCgroup("environment");
  const directory = Deno.makeTempDirSync({ prefix: "mda-test-" });
  const pinDir = newPinDir();
  const config = writeConfig("");
  try {
    Deno.symlinkSync(binary, `${directory}/${argv0}`);
    const env = { MDA_UNKNOWN: value, MDA_CGROUP: cgroup.path, MDA_PIN_DIR: pinDir };
    const options = argv0 === "mda" ? ["--cgroup", cgroup.path, "--pin-dir", pinDir] : [];
    const argv = [`${directory}/${argv0}`, word, "--config", config, ...options];
    const output = await tryRun({}, argv, { env });
    assert.equal(pinsOf(pinDir), undefined);
    return output;
  } finally {
    removePins(pinDir);
    Deno.removeSync(config);
    Deno.removeSync(directory, { recursive: true });
  }
}

for (
  const { argv0, word, code } of [
    { argv0: "mda", word: "run", code: 2 },
    { argv0: "mda", word: "enable", code: 2 },
    { argv0: "mdacore", word: "enable", code: 1 },
  ]
) {
  Deno.test(`${argv0} ${word} says what MDA_UNKNOWN may be, once`, async () => {
    const output = await withUnknown("sometimes", argv0, word);
    assert.equal(output.code, code, output.stderr);
    assert.equal(output.stdout, "");
    const lines = output.stderr.trimEnd().split("\n");
    assert.equal(lines.length, 1, output.stderr);
    for (const word of ["sometimes", "MDA_UNKNOWN", "strict", "learn", "fast"]) {
      assert.ok(lines[0].includes(word), `${word} is not in: ${output.stderr}`);
    }
  });
}

for (const unknown of ["strict", "learn", "fast"]) {
  Deno.test(`MDA_UNKNOWN=${unknown} is what mda does where --unknown does not say otherwise`, async () => {
    await using cgroup = createCgroup("environment");
    const config = writeConfig("");
    const pinDir = newPinDir();
    try {
      for (
        const { args, used } of [{ args: [], used: unknown }, { args: ["--unknown", "learn"], used: "learn" }]
      ) {
        const argv = [
          binary,
          "run",
          "--config",
          config,
          "--cgroup",
          cgroup.path,
          "--pin-dir",
          pinDir,
          ...args,
        ];
        await using mda = start({}, argv, { env: { MDA_UNKNOWN: unknown } });
        await mda.says(/ready: /);
        assert.equal((await statusOf(pinDir)).status.programs.unknown, used);
        assert.equal((await mda.stop("SIGTERM", 15_000)).code, 0);
      }
    } finally {
      Deno.removeSync(config);
    }
  });
}
