// For hosts without a libbpf. The order is that of their dependencies.
import libbpf from "carried/libbpf.so.1" with { type: "bytes" };
import libelf from "carried/libelf.so.1" with { type: "bytes" };
import libz from "carried/libz.so.1" with { type: "bytes" };

/** The shared libraries inside this program, each after the ones it needs; libbpf is the last. */
export const carriedLibraries: { name: string; bytes: Uint8Array<ArrayBuffer> }[] = [
  { name: "libz.so.1", bytes: libz },
  { name: "libelf.so.1", bytes: libelf },
  { name: "libbpf.so.1", bytes: libbpf },
];
