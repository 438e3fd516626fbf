/** The blocks of pcapng (draft-ietf-opsawg-pcapng), in this machine's order of bytes, which is the little-endian one. */

type Bytes = Uint8Array<ArrayBuffer>;

/** An option's number and its value. */
type Option = [code: number, value: Bytes | string];

const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const INTERFACE_STATISTICS = 5;
const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const LINKTYPE_RAW = 101;
const COMMENT = 1;
const NANOSECONDS = 9;

/** What begins a file. */
export function sectionHeader(application: string, os: string): Bytes {
  const body = new Uint8Array(16);
  const view = new DataView(body.buffer);
  view.setUint32(0, BYTE_ORDER_MAGIC, true);
  view.setUint16(4, 1, true);
  view.setBigInt64(8, -1n, true); // its length is not known
  return block(SECTION_HEADER, body, [[3, os], [4, application]]);
}

/** An interface; they are numbered from 0 in the order of their blocks. */
export function interfaceDescription(name: string, description: string, snapLength: number): Bytes {
  const body = new Uint8Array(8);
  const view = new DataView(body.buffer);
  view.setUint16(0, LINKTYPE_RAW, true);
  view.setUint32(4, snapLength, true);
  return block(INTERFACE_DESCRIPTION, body, [[2, name], [3, description], [
    9,
    new Uint8Array([NANOSECONDS]),
  ]]);
}

/** A packet. @param length as it was, of which `bytes` may be the beginning */
export function enhancedPacket(
  { interfaceId, timeNs, bytes, length, comment }: {
    interfaceId: number;
    timeNs: bigint;
    bytes: Bytes;
    length: number;
    comment: string;
  },
): Bytes {
  const body = new Uint8Array(20 + padded(bytes.length));
  const view = new DataView(body.buffer);
  view.setUint32(0, interfaceId, true);
  setTime(view, 4, timeNs);
  view.setUint32(12, bytes.length, true);
  view.setUint32(16, length, true);
  body.set(bytes, 20);
  return block(ENHANCED_PACKET, body, [[COMMENT, comment]]);
}

/** What became of an interface's packets so far. */
export function interfaceStatistics(
  { interfaceId, timeNs, startNs, received, lost, comment }: {
    interfaceId: number;
    timeNs: bigint;
    startNs: bigint;
    received: bigint;
    lost: bigint;
    comment: string;
  },
): Bytes {
  const body = new Uint8Array(12);
  const view = new DataView(body.buffer);
  view.setUint32(0, interfaceId, true);
  setTime(view, 4, timeNs);
  return block(INTERFACE_STATISTICS, body, [
    ...comment ? [[COMMENT, comment] as Option] : [],
    [2, timeBytes(startNs)],
    [3, timeBytes(timeNs)],
    [4, u64Bytes(received)],
    [5, u64Bytes(lost)],
  ]);
}

function block(type: number, body: Bytes, options: Option[]): Bytes {
  const values = options.map(([code, value]) =>
    [code, typeof value === "string" ? new TextEncoder().encode(value) : value] as const
  );
  const end = values.length > 0 ? 4 : 0;
  const length = 12 + body.length + end +
    values.reduce((sum, [, value]) => sum + 4 + padded(value.length), 0);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, length, true);
  bytes.set(body, 8);
  let at = 8 + body.length;
  for (const [code, value] of values) {
    view.setUint16(at, code, true);
    view.setUint16(at + 2, value.length, true);
    bytes.set(value, at + 4);
    at += 4 + padded(value.length);
  }
  view.setUint32(length - 4, length, true);
  return bytes;
}

const padded = (length: number) => length + 3 & ~3;

/** The upper half first, each in the file's order. */
function setTime(view: DataView, at: number, timeNs: bigint): void {
  view.setUint32(at, Number(timeNs >> 32n), true);
  view.setUint32(at + 4, Number(timeNs & 0xffff_ffffn), true);
}

function timeBytes(timeNs: bigint): Bytes {
  const bytes = new Uint8Array(8);
  setTime(new DataView(bytes.buffer), 0, timeNs);
  return bytes;
}

function u64Bytes(value: bigint): Bytes {
  return new Uint8Array(new BigUint64Array([value]).buffer);
}
