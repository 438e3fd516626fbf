import { abi } from "../generated/abi.ts";
import { callForNumber } from "./errors.ts";
import { readStruct, writeStruct } from "./struct.ts";

export interface ProgramInfo {
  id: number;
  /** enum bpf_prog_type of linux/bpf.h. */
  type: number;
  /** At most 15 characters; the kernel cuts longer names. */
  name: string;
  /** Hexadecimal digest of the instructions: equal programs have equal tags. */
  tag: string;
  /** The maps that it uses. */
  mapIds: number[];
}

/** What the kernel says of a program, by a descriptor. */
export function programInfo(fd: number): ProgramInfo {
  // The kernel writes no more ids than there is room for: MAX_USED_MAPS of linux/bpf_verifier.h.
  const mapIds = new Uint32Array(64);
  const bytes = writeStruct(abi, "bpf_prog_info", {
    nr_map_ids: mapIds.length,
    map_ids: Deno.UnsafePointer.value(Deno.UnsafePointer.of(mapIds)),
  });
  const length = new Uint8Array(new Uint32Array([bytes.length]).buffer);
  callForNumber(
    `describe the program of descriptor ${fd}`,
    (s) => s.bpf_obj_get_info_by_fd(fd, bytes, length),
  );
  const info = readStruct(abi, "bpf_prog_info", bytes);
  return {
    id: info.id,
    type: info.type,
    name: info.name,
    tag: info.tag.toHex(),
    mapIds: [...mapIds.subarray(0, info.nr_map_ids)],
  };
}
