// For hosts without a libbpf: as text and not as bytes, which would be decoded at every start. The order is that of their
// dependencies.
import libbpf from "carried/libbpf.so.1.base64" with { type: "text" };
import libelf from "carried/libelf.so.1.base64" with { type: "text" };
import libz from "carried/libz.so.1.base64" with { type: "text" };

/** The shared libraries inside this program, in base64, each after the ones it needs; libbpf is the last. */
export const carriedLibraries: { name: string; base64: string }[] = [
  { name: "libz.so.1", base64: libz },
  { name: "libelf.so.1", base64: libelf },
  { name: "libbpf.so.1", base64: libbpf },
];
