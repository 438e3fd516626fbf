import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import type { Address, AddressPrefix } from "./rules.ts";

const mappedPrefix = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** The bits of `::ffff:0:0/96`, which an IPv4-mapped address has more than its IPv4 address. */
export const MAPPED_BITS = mappedPrefix.length * 8;

/**
 * Reads an address as inet_pton does: none of `127.1`, `010.0.0.1`, `0x7f.0.0.1`, no zone. IPv4-mapped addresses come
 * out as IPv4; the `::192.0.2.1` that RFC 4291 deprecates is refused, because who writes it means something else.
 *
 *     parseAddress("::ffff:192.0.2.1") // { family: 4, bytes: 192, 0, 2, 1 }
 */
export function parseAddress(text: string): Address | undefined {
  // ipaddr.js alone is too generous: it takes the inet_aton forms, and ::192.0.2.1 as IPv4-mapped.
  if (isIP(text) === 0 || text.includes("%")) return undefined;
  const bytes = new Uint8Array(ipaddr.parse(text).toByteArray());
  if (bytes.length === 4) return { family: 4, bytes };
  if (/^[0:]*:\d+\./.test(text)) return undefined;
  return isMapped(bytes) ? { family: 4, bytes: bytes.slice(mappedPrefix.length) } : { family: 6, bytes };
}

/** Whether `text` is an IPv6 spelling of an IPv4 address. */
export function isMappedSpelling(text: string, address: Address): boolean {
  return address.family === 4 && text.includes(":");
}

/** `192.0.2.1`, `fd00::1`. */
export function formatAddress({ family, bytes }: Address): string {
  if (family === 4) return bytes.join(".");
  return ipaddr.fromByteArray([...bytes]).toString();
}

/** Sets the host bits to 0, as iptables does. */
export function maskAddress({ family, bytes }: Address, prefixLength: number): AddressPrefix {
  const masked = bytes.map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, prefixLength - i * 8))));
  return { family, bytes: masked, prefixLength };
}

/** Whether `address` lies in the block `prefix`. */
export function contains(prefix: AddressPrefix, address: Address): boolean {
  return prefix.family === address.family && hasPrefix(address.bytes, prefix.bytes, prefix.prefixLength);
}

/** Whether the first `length` bits of `bytes` are those of `prefix`. */
export function hasPrefix(bytes: Uint8Array, prefix: Uint8Array, length: number): boolean {
  const whole = length >> 3;
  for (let i = 0; i < whole; i++) if (bytes[i] !== prefix[i]) return false;
  return (length & 7) === 0 || ((bytes[whole] ^ prefix[whole]) >> (8 - (length & 7))) === 0;
}

function isMapped(bytes: Uint8Array): boolean {
  return mappedPrefix.every((byte, i) => byte === bytes[i]);
}
