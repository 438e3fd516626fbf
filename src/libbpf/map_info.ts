import { abi } from "../generated/abi.ts";
import { callForNumber } from "./errors.ts";
import { readStruct } from "./struct.ts";

export interface MapInfo {
  id: number;
  /** enum bpf_map_type of linux/bpf.h. */
  type: number;
  /** At most 15 characters; the kernel cuts longer names. */
  name: string;
  keyBytes: number;
  valueBytes: number;
  maxEntries: number;
}

/** What a pinned map must be to be used; see BpfMap.openPinned. */
export type ExpectedMap = Partial<Omit<MapInfo, "id">>;

/** What a map is, by a descriptor of it. */
export function mapInfo(fd: number): MapInfo {
  const bytes = new Uint8Array(new ArrayBuffer(abi.bpf_map_info.size));
  const length = new Uint8Array(new Uint32Array([bytes.length]).buffer);
  callForNumber(`describe the map of descriptor ${fd}`, (s) => s.bpf_obj_get_info_by_fd(fd, bytes, length));
  const info = readStruct(abi, "bpf_map_info", bytes);
  return {
    id: info.id,
    type: info.type,
    name: info.name,
    keyBytes: info.key_size,
    valueBytes: info.value_size,
    maxEntries: info.max_entries,
  };
}

/** @throws Error when a map is not what its user expects at `path` */
export function checkExpected(path: string, info: MapInfo, expected: ExpectedMap): void {
  for (const [property, wanted] of Object.entries(expected)) {
    const found = info[property as keyof MapInfo];
    if (found !== wanted) {
      throw new Error(
        `Cannot use the map pinned at ${path}: its ${property} is ${found} and not ${wanted}; it belongs to ` +
          "another program, choose another directory with --pin-dir",
      );
    }
  }
}
