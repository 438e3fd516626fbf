import assert from "node:assert/strict";
import { callElsewhere } from "../../host/os/elsewhere.ts";

const module = "src/libbpf/library.ts";

/** The host's libbpf.so.1, which the build needs as well. */
async function hostLibbpf(): Promise<string> {
  const output = await new Deno.Command("ldconfig", { args: ["-p"] }).output();
  const path = /libbpf\.so\.1 .* => (\S+)/.exec(new TextDecoder().decode(output.stdout))?.[1];
  assert.ok(path, "this host has no libbpf.so.1 to test with");
  return await Deno.realPath(path);
}

Deno.test("importing the modules opens no library", async () => {
  const { value } = await callElsewhere("tests/plane/bpf/load_sample.ts", "mappedLibraries", [], {});
  assert.deepEqual(value, []);
});

Deno.test("the host's libbpf is used where there is one", async () => {
  const { value } = await callElsewhere(module, "libbpfInfo", [], {});
  const { origin, version } = value as { origin: string; version: string };
  assert.equal(origin, "host");
  assert.match(version, /^1\.\d+/);
});

Deno.test("the carried libbpf is used where the host has none", async () => {
  const setup = `mount --bind /dev/null ${await hostLibbpf()}`;
  const { value } = await callElsewhere(module, "libbpfInfo", [], { setup });
  const { origin, version } = value as { origin: string; version: string };
  assert.equal(origin, "carried");
  assert.match(version, /^1\.\d+/);
});

Deno.test("the carried libbpf loads programs and leaves no descriptor of its memory files", async () => {
  const { value, error } = await callElsewhere("tests/plane/bpf/load_sample.ts", "loadSample", [], {
    env: { MDA_LIBBPF: "carried" },
  });
  assert.deepEqual({ value, error }, { value: { origin: "carried", memoryFilesOpen: 0 }, error: undefined });
});

Deno.test("the carried libbpf is usable where memory files must not be executed", async () => {
  const { value } = await callElsewhere(module, "libbpfInfo", [], {
    setup:
      'exec unshare --pid --fork --mount-proc sh -ec \'sysctl -qw vm.memfd_noexec=2; exec "$@"\' sh "$@"',
    env: { MDA_LIBBPF: "carried" },
  });
  assert.equal((value as { origin: string }).origin, "carried");
});

Deno.test("MDA_LIBBPF chooses a file, and an unusable one is named", async () => {
  const path = await hostLibbpf();
  const { value } = await callElsewhere(module, "libbpfInfo", [], { env: { MDA_LIBBPF: path } });
  assert.equal((value as { origin: string }).origin, path);
  for (const unusable of ["/nowhere/libbpf.so.1", "libc.so.6"]) {
    const { error } = await callElsewhere(module, "libbpfInfo", [], { env: { MDA_LIBBPF: unusable } });
    assert.match(error!, /^Cannot use \S+ as libbpf: .*mda needs libbpf 1\.0 or later; unset MDA_LIBBPF/s);
    assert.ok(error!.includes(unusable));
  }
});
