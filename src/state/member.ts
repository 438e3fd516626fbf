import { layouts } from "../generated/layouts.ts";
import type { BpfObject } from "../libbpf/object.ts";
import { readStruct, u32 } from "../libbpf/struct.ts";

/**
 * The key in the sockhash of a socket that has been there.
 *
 * @param fd a descriptor of it, of this process
 * @returns undefined when it never was
 */
export function keyOf(object: BpfObject, fd: number): bigint | undefined {
  // A socket's storage is looked up by a descriptor of it.
  const bytes = object.map("lanes").lookup(u32(fd));
  return bytes && readStruct(layouts, "lane", bytes).key;
}
