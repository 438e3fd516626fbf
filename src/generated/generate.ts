/**
 * Writes src/generated/layouts.ts from the BTF of build/mda.bpf.o, and src/generated/abi.ts from the BTF of the structs
 * that the kernel's and libbpf's own headers declare (generator/abi.c), and src/generated/reasons.ts from the tables of
 * bpf/reasons.h. No C struct, and no reason, is repeated by hand in TypeScript.
 *
 *     deno run --allow-read --allow-write --allow-run src/generated/generate.ts
 */

import { generateAbi } from "./generator/abi.ts";
import { generateLayouts } from "./generator/layouts.ts";
import { generateReasons } from "./generator/reasons.ts";

const target = (name: string) => new URL(name, import.meta.url);
const object = new URL("../../build/mda.bpf.o", import.meta.url).pathname;
await Deno.writeTextFile(target("abi.ts"), await generateAbi());
await Deno.writeTextFile(target("layouts.ts"), await generateLayouts(object));
await Deno.writeTextFile(target("reasons.ts"), await generateReasons());
