import type { Packet } from "../../views/dumps.ts";

const TCP_HEADER = 20;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const TCP = 6;
const TTL = 64;
const DONT_FRAGMENT = 0x4000;
const WINDOW = 65535;

/** Bits of TCP's header. */
export const PSH = 0x08;
export const ACK = 0x10;

/** The flags that a packet has. */
export function flagsOf({ ack, isLast }: Packet): number {
  return (isLast ? PSH : 0) | (ack === undefined ? 0 : ACK);
}

/**
 * The packet that the bytes would have travelled in: an IPv4 or IPv6 header, TCP's, the payload. Its checksums are right.
 *
 * @param id of the IPv4 header
 */
export function ipPacket(packet: Packet, id: number): Uint8Array<ArrayBuffer> {
  const { direction: { names: { source, target } }, payload } = packet;
  const isIpv4 = source.address.family === 4;
  const ipHeader = isIpv4 ? IPV4_HEADER : IPV6_HEADER;
  const bytes = new Uint8Array(ipHeader + TCP_HEADER + payload.length);
  const view = new DataView(bytes.buffer);
  const addresses = isIpv4 ? 12 : 8;
  bytes.set(source.address.bytes, addresses);
  bytes.set(target.address.bytes, addresses + source.address.bytes.length);
  const tcp = ipHeader;
  view.setUint16(tcp, source.port);
  view.setUint16(tcp + 2, target.port);
  view.setUint32(tcp + 4, packet.seq);
  view.setUint32(tcp + 8, packet.ack ?? 0);
  view.setUint8(tcp + 12, TCP_HEADER / 4 << 4);
  view.setUint8(tcp + 13, flagsOf(packet));
  view.setUint16(tcp + 14, WINDOW);
  bytes.set(payload, tcp + TCP_HEADER);
  const segment = bytes.length - ipHeader;
  // The addresses stand right before TCP's header; the rest of the pseudo header is TCP's number and the length.
  view.setUint16(tcp + 16, checksum(view, addresses, bytes.length, TCP + segment));
  if (isIpv4) {
    view.setUint8(0, 4 << 4 | IPV4_HEADER / 4);
    view.setUint16(2, bytes.length);
    view.setUint16(4, id & 0xffff);
    view.setUint16(6, DONT_FRAGMENT);
    view.setUint8(8, TTL);
    view.setUint8(9, TCP);
    view.setUint16(10, checksum(view, 0, IPV4_HEADER, 0));
  } else {
    view.setUint8(0, 6 << 4);
    view.setUint16(4, segment);
    view.setUint8(6, TCP);
    view.setUint8(7, TTL);
  }
  return bytes;
}

/** RFC 1071, over the bytes from `start` to `end`. @param sum what is added to them */
export function checksum(view: DataView, start: number, end: number, sum: number): number {
  let at = start;
  for (; at + 1 < end; at += 2) sum += view.getUint16(at);
  if (at < end) sum += view.getUint8(at) << 8;
  while (sum > 0xffff) sum = Math.floor(sum / 0x10000) + (sum & 0xffff);
  return ~sum & 0xffff;
}
