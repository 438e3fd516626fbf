/** build.sh --target arm64: what it makes, and that it runs, emulated by qemu-user. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { binary, execute, type Output, root, shell, TemporaryDirectory } from "../../plane/cli/mda.ts";
import { tryRun } from "../../lab/program.ts";

const script = `${root}build.sh`;
const parts = `${root}build/arm64`;
const built = `${root}dist/mda-arm64`;
const deno = `${parts}/node_modules/@deno/linux-arm64-glibc/deno`;
const libraries = ["libbpf.so.1", "libelf.so.1", "libz.so.1"].map((name) => `${parts}/${name}`);

/** The largest pages that a kernel of arm64 has. */
const PAGE_BYTES_MAX = 65536;
/** That of openEuler 22.03. */
const glibc = [2, 34];

Deno.test.beforeAll(async () => {
  const { code, stderr } = await execute([script, "--target", "arm64"]);
  strictEqual(code, 0, stderr);
});

async function readelf(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await execute(["readelf", "--wide", ...args]);
  strictEqual(code, 0, stderr);
  return stdout;
}

Deno.test("every spelling of a machine is understood, and another one refused", async () => {
  for (const target of [["--target=aarch64"], ["build", "--target", "arm64"]]) {
    const { code, stdout } = await execute([script, ...target]);
    deepStrictEqual([code, stdout.replace(/\d+/g, "N")], [0, "build.sh: dist/mda-armN is ready (N MB)\n"]);
  }
  const { code, stderr } = await execute([script, "--target", "riscv64"]);
  strictEqual(code, 1);
  strictEqual(stderr, "build.sh: Cannot build for 'riscv64': --target takes x86_64 or arm64\n");
});

Deno.test("a build for arm64 leaves dist/mda what it is", async () => {
  match(await readelf("--file-header", binary), /Machine: +Advanced Micro Devices X86-64/);
  strictEqual((await execute([binary, "--version"])).code, 0);
});

Deno.test("the binary for arm64 and all in it is arm64's, and can be mapped in pages of 64 KiB", async () => {
  for (const file of [built, deno, ...libraries]) {
    match(await readelf("--file-header", file), /Machine: +AArch64/);
    const segments = (await readelf("--program-headers", file)).match(/^ +LOAD .*$/gm)!;
    ok(segments.length > 0, file);
    for (const segment of segments) {
      const [, offset, address, , , , ...rest] = segment.trim().split(/ +/);
      const alignment = Number(rest.at(-1));
      ok(alignment >= PAGE_BYTES_MAX, `${file}: ${segment}`);
      strictEqual(Number(offset) % PAGE_BYTES_MAX, Number(address) % PAGE_BYTES_MAX, `${file}: ${segment}`);
    }
  }
});

Deno.test("what is in the binary for arm64 needs no newer glibc than 2.34", async () => {
  for (const file of [deno, ...libraries]) {
    const versions = [...(await readelf("--version-info", file)).matchAll(/GLIBC_(\d+)\.(\d+)/g)];
    ok(versions.length > 0, file);
    for (const [name, major, minor] of versions) {
      ok(Number(major) === glibc[0] && Number(minor) <= glibc[1], `${file} needs ${name}`);
    }
  }
});

/** Runs the binary, in a machine whose pages have so many bytes, without a libbpf of its own. */
function emulate(pageBytes: number, ...args: string[]): Promise<Output> {
  const argv = ["qemu-aarch64", "-p", `${pageBytes}`, "-L", `${parts}/sysroot`, built, ...args];
  // Twelve seconds of CPU time.
  return tryRun({}, argv, { timeoutMs: 300_000 });
}

Deno.test("emulated, the binary for arm64 says what that for x86-64 says", async () => {
  using directory = new TemporaryDirectory();
  const config = directory.write(
    "mda.conf",
    "chain --ip 10.0.0.0/8 --port 80 -j ACCEPT\nchain -p 81 -j RETURN\n",
  );
  const commands = [["--version"], ["check", "--config", config, "-o", "json"]];
  await Promise.all(commands.map(async (args, index) => {
    const [expected, emulated] = await Promise.all([
      execute([binary, ...args], { MDA_LIBBPF: "carried" }),
      emulate(index === 0 ? PAGE_BYTES_MAX : 4096, ...args),
    ]);
    deepStrictEqual([emulated.code, emulated.stdout], [0, expected.stdout], emulated.stderr);
  }));
});

Deno.test("emulated, the launcher for arm64 names the dynamic linker that is missing", async () => {
  using directory = new TemporaryDirectory();
  const { code, stderr } = await shell('exec qemu-aarch64 -L "$2" "$1"', built, directory.path);
  strictEqual(code, 1);
  strictEqual(stderr, "mda: Cannot open /lib/ld-linux-aarch64.so.1: ENOENT: no such file\n");
});
