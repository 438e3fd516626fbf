import { fileURLToPath } from "node:url";

const compiled = new Map<string, Uint8Array<ArrayBuffer>>();

/** The BPF object of tests/bpf/fixtures/NAME.bpf.c, compiled with clang. */
export function compileFixture(name: string): Uint8Array<ArrayBuffer> {
  let bytes = compiled.get(name);
  if (!bytes) {
    const directory = Deno.makeTempDirSync();
    try {
      const object = compileTo(directory, name);
      bytes = Deno.readFileSync(object);
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
    compiled.set(name, bytes);
  }
  return bytes;
}

/** Compiles a fixture into `directory`; returns the object's path. */
export function compileTo(directory: string, name: string): string {
  const source = fileURLToPath(new URL(`fixtures/${name}.bpf.c`, import.meta.url));
  const object = `${directory}/${name}.bpf.o`;
  const include = `-I/usr/include/${Deno.build.arch}-linux-gnu`;
  const { success, stderr } = new Deno.Command("clang", {
    args: ["-g", "-O2", "-target", "bpf", include, "-c", source, "-o", object],
  }).outputSync();
  if (!success) throw new Error(`Cannot compile ${source}: ${new TextDecoder().decode(stderr)}`);
  return object;
}
