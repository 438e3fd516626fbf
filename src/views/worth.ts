import { layouts, maps } from "../generated/layouts.ts";
import type { BpfMap } from "../libbpf/map.ts";
import { readStruct, type StructValue, u32 } from "../libbpf/struct.ts";

export type Executable = StructValue<typeof layouts, "executable">;

/** What earlier connections between two programs were like. */
export interface Past {
  /** That have shown it; the latest count more. */
  connections: number;
  /** That lived for a request or two. */
  short: number;
  /** That turned to bulk. */
  bulk: number;
  /** That were put into blocking mode. */
  blocking: number;
}

/**
 * What the data plane knows of connections between two programs.
 *
 * @param map `pasts`
 * @param port the listener's
 */
export function readPast(
  map: BpfMap,
  client: Executable | undefined,
  server: Executable,
  port: number,
): Past | undefined {
  const place = worthPlace(client, server, port);
  const bytes = map.lookup(u32(Number(place % BigInt(maps.pasts.maxEntries))));
  if (!bytes) return undefined;
  const { tag, connections, were_short, were_bulk, turned_blocking } = readStruct(layouts, "past", bytes);
  // Another two programs may have the place.
  if (tag !== Number(BigInt.asUintN(32, place)) || connections === 0) return undefined;
  return { connections, short: were_short, bulk: were_bulk, blocking: turned_blocking };
}

/** As worth_place() of bpf/worth.h. */
function worthPlace(client: Executable | undefined, server: Executable, port: number): bigint {
  const mix = (hash: bigint, { inode, device, generation }: Executable) =>
    BigInt.asUintN(64, (hash ^ inode ^ BigInt(device) << 32n ^ BigInt(generation)) * 0x9e3779b97f4a7c15n);
  let hash = BigInt(port);
  if (client) hash = mix(hash, client);
  hash ^= hash >> 32n;
  return mix(hash, server) >> 32n | 1n << 32n;
}
