/** Programs of this directory: what they find on plain TCP, they must find under mda. */
import { fileURLToPath } from "node:url";

const sources = fileURLToPath(new URL(".", import.meta.url));
const shared = ["streams.h", "../kernels/lab.h"];
const built = fileURLToPath(new URL("../../../build/tests/", import.meta.url));

/** Compiles NAME.c when it is newer than its program; returns the program's path. */
export function compile(name: string): string {
  const source = `${sources}${name}.c`;
  const program = `${built}${name}`;
  const changed = [source, ...shared.map((header) => sources + header)].map(modified);
  if (modified(program) > Math.max(...changed)) return program;
  Deno.mkdirSync(built, { recursive: true });
  const part = `${program}.${Deno.pid}`;
  const { success, stderr } = new Deno.Command("gcc", {
    args: ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", part, source],
  }).outputSync();
  if (!success) throw new Error(`Cannot compile ${source}: ${new TextDecoder().decode(stderr)}`);
  Deno.renameSync(part, program);
  return program;
}

/** In ms since 1970, 0 when there is no such file. */
function modified(path: string): number {
  try {
    return Deno.statSync(path).mtime!.getTime();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
