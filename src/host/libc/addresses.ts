import { c } from "./call.ts";
import { cString } from "./library.ts";

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;

/** A struct sockaddr_in or sockaddr_in6 for an address written as numbers. */
export function socketAddress(address: string, port: number): Uint8Array<ArrayBuffer> {
  const v6 = address.includes(":");
  const bytes = new Uint8Array(v6 ? 28 : 16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, v6 ? AF_INET6 : AF_INET, true);
  view.setUint16(2, port);
  const octets = bytes.subarray(v6 ? 8 : 4);
  if (c().inet_pton(v6 ? AF_INET6 : AF_INET, cString(address), octets) !== 1) {
    throw new TypeError(`Cannot use ${address} as an address: it is neither IPv4 nor IPv6`);
  }
  return bytes;
}

/** A struct sockaddr_un: of a path, or of an abstract name, which is written with an @ as its first character. */
export function unixAddress(name: string): Uint8Array<ArrayBuffer> {
  const PATH_BYTES = 108;
  const path = cString(name);
  // The zero at a path's end may be left out; in an abstract name it would count.
  const bytes = path.subarray(0, path.length - 1);
  if (bytes.length === 0 || bytes.length > PATH_BYTES) {
    throw new TypeError(
      `Cannot use ${JSON.stringify(name)} as a socket's name: it needs 1 to ${PATH_BYTES} bytes`,
    );
  }
  if (name.startsWith("@")) bytes[0] = 0;
  const address = new Uint8Array(2 + bytes.length);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(bytes, 2);
  return address;
}
