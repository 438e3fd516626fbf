/** What tests do in a process of its own; see callElsewhere. */
import { libbpfInfo } from "../../../src/libbpf/library.ts";
import { openObject } from "../../../src/libbpf/object.ts";
import { compileFixture } from "./compile.ts";

/** Loads a BPF object. */
export function loadBytes(bytes: number[]): void {
  using object = openObject(new Uint8Array(bytes), "sample");
  object.load();
}

/** Compiles and loads a fixture. */
export function loadFixture(name: string): void {
  using object = openObject(compileFixture(name), name);
  object.load();
}

/** Loads a program and describes the libbpf that did it. */
export function loadSample(): { origin: string; memoryFilesOpen: number } {
  loadFixture("sample");
  const files = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`);
    } catch {
      // The descriptor of the listing itself.
      return "";
    }
  });
  const memoryFilesOpen = files.filter((file) => /memfd:lib(bpf|elf|z)/.test(file)).length;
  return { origin: libbpfInfo().origin, memoryFilesOpen };
}

/** The libraries for BPF that this process has mapped. */
export function mappedLibraries(): string[] {
  return Deno.readTextFileSync("/proc/self/maps").match(/[^/\s]*lib(bpf|elf)\S*/g) ?? [];
}
