import type { BpfMap } from "../../libbpf/map.ts";
import type { BpfObject } from "../../libbpf/object.ts";
import type { BpfProgram } from "../../libbpf/program.ts";
import { layouts } from "../../generated/layouts.ts";
import { readU64, u32, u64 } from "../../libbpf/struct.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const { size: packetBytes, fields: { keys: keysField, ready: readyField } } = layouts.release;
const keyBytes = keysField.size / keysField.length;

/** One silences both ends, the next finds them quiet (bpf/release.h). */
const ROUNDS = 2;

/**
 * One attempt to take sockets out of the sockhash: those that want to leave, or all of them once MODE_PASS is set.
 *
 * @param drain the program of that name, which finds those that can go
 * @param keys in the sockhash
 * @returns the keys of those that could not leave yet
 */
export function release(sockets: BpfMap, drain: BpfProgram, keys: Bytes[]): Bytes[] {
  const packet = new Uint8Array(packetBytes);
  const stay: Bytes[] = [];
  for (let at = 0; at < keys.length; at += keysField.length) {
    let some = keys.slice(at, at + keysField.length);
    for (let round = 0; round < ROUNDS && some.length > 0; round++) {
      packet.fill(0);
      some.forEach((key, index) => packet.set(key, keysField.offset + index * keyBytes));
      drain.runOn(packet);
      const ready = readU64(packet, readyField.offset);
      some = some.filter((key, index) => {
        const place = keysField.offset + index * keyBytes;
        if (!packet.subarray(place, place + keyBytes).some((byte) => byte !== 0)) return false;
        if ((ready >> BigInt(index) & 1n) === 0n) return true;
        // Not there any more when its program has closed it meanwhile.
        sockets.delete(key);
        return false;
      });
    }
    stay.push(...some);
  }
  return stay;
}

/** A busy sender is in a send most of the time, in which it cannot be released. */
const TRIES = 32;

/** Takes some sockets out that want to leave; those that cannot yet are noted in `leaving`. */
export function releaseSome(object: BpfObject, keys: bigint[]): void {
  const leaving = object.map("leaving");
  const wanted = keys.map(u64);
  const stay = new Set(
    release(object.map("sockets"), object.program("drain"), wanted).map((key) => key.toHex()),
  );
  for (const key of wanted) {
    if (stay.has(key.toHex())) leaving.update(key, u32(1));
    else leaving.delete(key);
  }
}

/** Takes out those that have said in `leaving` that they want to, if they can. Returns how many could not. */
export function releaseLeaving(object: BpfObject): number {
  const leaving = object.map("leaving"), sockets = object.map("sockets"), drain = object.program("drain");
  const keys = [...leaving.keys()];
  if (keys.length === 0) return 0;
  const name = (key: Bytes) => key.toHex();
  let left = keys;
  for (let tries = 0; tries < TRIES && left.length > 0; tries++) left = release(sockets, drain, left);
  const stay = new Set(left.map(name));
  for (const key of keys) if (!stay.has(name(key))) leaving.delete(key);
  return stay.size;
}

/**
 * Takes sockets out that a killed mda has left half-way: that it was about to adopt, or whose peer it had released. Those
 * that are in a send now are noted in `leaving`.
 */
export function releaseHalfWay(object: BpfObject): void {
  const sockets = object.map("sockets");
  const stay = release(sockets, object.program("drain"), [...sockets.keys()]);
  for (const key of stay) object.map("leaving").update(key, u32(1));
}
