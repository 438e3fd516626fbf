import objectBytes from "../../build/mda_without_casts.bpf.o" with { type: "bytes" };
import { load } from "../checks/load.ts";
import { openObject } from "../libbpf/object.ts";
import { openMaps } from "../state/pins.ts";

/** What a program of traffic control is run on, at least. */
const PACKET_BYTES = 64;

/** From now on the data plane copies every message, while the lease on `dumping` holds. */
export function startDump(pinDir: string): void {
  const maps = openMaps(pinDir);
  try {
    using object = openObject(objectBytes, "mda", { only: ["start_dump"], reuse: maps });
    load(object);
    object.program("start_dump").runOn(new Uint8Array(new ArrayBuffer(PACKET_BYTES)));
  } finally {
    for (const map of Object.values(maps)) map.close();
  }
}
