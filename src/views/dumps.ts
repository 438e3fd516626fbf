import { layouts } from "../generated/layouts.ts";
import { monotonicUs } from "../host/libc/mod.ts";
import { readStruct, type StructValue } from "../libbpf/struct.ts";
import { formatAddress } from "../rules/addresses.ts";
import type { Address } from "../rules/rules.ts";

type RawDumped = StructValue<typeof layouts, "dumped">;

/** An end as a packet has it. */
export interface PacketEnd {
  address: Address;
  /** The same as people write it. */
  text: string;
  port: number;
}

/** From whom to whom. */
export interface Names {
  source: PacketEnd;
  target: PacketEnd;
}

/** One direction of a connection. */
export interface Direction {
  /** The client's cookie << 1, plus 1 for what the server sends. */
  key: bigint;
  /** As the client sees itself and its peer, so that both directions agree where NAT gives an end two names. */
  names: Names;
  /** As the server does, where that is known and differs. */
  otherNames?: Names;
  /** The inode of the sender's network namespace. */
  netns: number;
  /** The other end has been seen. */
  hasPeer: boolean;
}

/** A part of a message, at most as long as a packet may be. */
export interface Packet {
  /** Since 1970. */
  timeNs: bigint;
  direction: Direction;
  seq: number;
  /** Undefined when the other direction is not known yet. */
  ack: number | undefined;
  /** It went by TCP. */
  passed: boolean;
  /** Nothing of its message follows. */
  isLast: boolean;
  payload: Uint8Array<ArrayBuffer>;
  /** Who sends: its number in the host's PID namespace, and its thread's name. */
  pid: number;
  program: string;
}

const { size: HEAD_BYTES, fields } = layouts.dumped;

/** More than there are at once; then all are looked up again. */
const DIRECTIONS_MAX = 100_000;

/** Reads the records of the ring buffer `dumps`. */
export class DumpReader {
  /** When this host's CLOCK_MONOTONIC was 0, in nanoseconds since 1970. */
  readonly #zero = (BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) - monotonicUs()) *
    1000n;
  readonly #directions = new Map<bigint, Direction>();

  read(bytes: Uint8Array<ArrayBuffer>): Packet {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const u32 = (
      field: "seq" | "ack" | "has_peer" | "passed" | "message_bytes" | "offset" | "bytes" | "pid",
    ) => view.getUint32(fields[field].offset, true);
    const hasPeer = u32("has_peer") !== 0;
    const length = u32("bytes");
    return {
      timeNs: this.#zero + view.getBigUint64(fields.ns.offset, true),
      direction: this.#directionOf(view.getBigUint64(fields.key.offset, true), hasPeer, bytes),
      seq: u32("seq") + u32("offset") >>> 0,
      ack: hasPeer ? u32("ack") : undefined,
      passed: u32("passed") !== 0,
      isLast: u32("offset") + length >= u32("message_bytes"),
      payload: bytes.subarray(HEAD_BYTES, HEAD_BYTES + length),
      pid: u32("pid"),
      program: programIn(bytes),
    };
  }

  #directionOf(key: bigint, hasPeer: boolean, bytes: Uint8Array<ArrayBuffer>): Direction {
    const known = this.#directions.get(key);
    if (known && known.hasPeer === hasPeer) return known;
    if (this.#directions.size >= DIRECTIONS_MAX) this.#directions.clear();
    const direction = directionOf(key, readStruct(layouts, "dumped", bytes));
    this.#directions.set(key, direction);
    return direction;
  }
}

function directionOf(key: bigint, { own, peer, has_peer }: RawDumped): Direction {
  const asOwn = { source: endOf(own.local), target: endOf(own.remote) };
  const hasPeer = has_peer !== 0;
  const asPeer = hasPeer ? { source: endOf(peer.remote), target: endOf(peer.local) } : undefined;
  const isServer = (key & 1n) === 1n;
  const [names, otherNames] = isServer && asPeer ? [asPeer, asOwn] : [asOwn, asPeer];
  return {
    key,
    names,
    ...otherNames && !areSame(names, otherNames) && { otherNames },
    netns: own.netns,
    hasPeer,
  };
}

function endOf({ family, address, port }: RawDumped["own"]["local"]): PacketEnd {
  const is = family === 4 ? { family: 4 as const, bytes: address.slice(0, 4) } : {
    family: 6 as const,
    bytes: address.slice(),
  };
  return { address: is, text: formatAddress(is), port };
}

function areSame(one: Names, other: Names): boolean {
  return (["source", "target"] as const).every((end) =>
    one[end].text === other[end].text && one[end].port === other[end].port
  );
}

function programIn(bytes: Uint8Array): string {
  const { offset } = fields.program;
  const name = bytes.subarray(offset, offset + 16);
  const end = name.indexOf(0);
  return new TextDecoder().decode(end < 0 ? name : name.subarray(0, end));
}
