import { compile } from "../../lab/compile.ts";

/** The BPF object of tests/plane/bpf/fixtures/NAME.bpf.c, compiled with clang; returns its path. */
export function fixture(name: string): string {
  return compile(`plane/bpf/fixtures/${name}.bpf.o`);
}

/** What is in it. */
export function compileFixture(name: string): Uint8Array<ArrayBuffer> {
  return Deno.readFileSync(fixture(name));
}
