import { socketAddress, unixAddress } from "./addresses.ts";
import { c, check } from "./call.ts";
import { SystemError } from "./errno.ts";
import { O_CLOEXEC, O_NONBLOCK } from "./files.ts";

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_NONBLOCK = O_NONBLOCK;
export const SOCK_CLOEXEC = O_CLOEXEC;
export const MSG_PEEK = 2;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const SHUT_WR = 1;
export const SHUT_RDWR = 2;

/** Opens a socket, which is closed on exec. `type` may have SOCK_NONBLOCK. */
export function socket(family: number, type: number, protocol = 0): number {
  return check("open a socket", c().socket(family, type | SOCK_CLOEXEC, protocol));
}

export function bind(fd: number, address: string, port: number): void {
  const bytes = socketAddress(address, port);
  check(`bind to ${address} port ${port}`, c().bind(fd, bytes, bytes.length));
}

/** Gives a socket of AF_UNIX a name, as {@link unixAddress} has it. */
export function bindUnix(fd: number, name: string): void {
  const address = unixAddress(name);
  check(`bind to ${name}`, c().bind(fd, address, address.length));
}

export function listen(fd: number, backlog = 16): void {
  check(`listen on descriptor ${fd}`, c().listen(fd, backlog));
}

/** Connects; false when the socket does not block and the handshake is still under way. */
export function connect(fd: number, address: string, port: number): boolean {
  const bytes = socketAddress(address, port);
  try {
    check(`connect to ${address} port ${port}`, c().connect(fd, bytes, bytes.length));
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.code === "EINPROGRESS") return false;
    throw error;
  }
}

/** Accepts a connection; `flags` may have SOCK_NONBLOCK. */
export function accept(fd: number, flags = 0): number {
  return check(`accept on descriptor ${fd}`, c().accept4(fd, null, null, flags | SOCK_CLOEXEC));
}

/** The port that a socket is bound to. */
export function localPort(fd: number): number {
  const address = new DataView(new ArrayBuffer(128));
  const length = new Uint32Array([128]);
  const result = c().getsockname(fd, new Uint8Array(address.buffer), new Uint8Array(length.buffer));
  check(`find the address of descriptor ${fd}`, result);
  return address.getUint16(2);
}

/** Sends; returns how many bytes the kernel took. */
export function send(fd: number, bytes: Uint8Array<ArrayBuffer>, flags = 0): number {
  return check(`send on descriptor ${fd}`, c().send(fd, bytes, BigInt(bytes.length), flags));
}

/** Sends a datagram to the socket of AF_UNIX that has this name. */
export function sendToUnix(fd: number, bytes: Uint8Array<ArrayBuffer>, name: string, flags = 0): void {
  const address = unixAddress(name);
  check(`send to ${name}`, c().sendto(fd, bytes, BigInt(bytes.length), flags, address, address.length));
}

/** Receives; returns how many bytes, 0 at the end of the stream. */
export function recv(fd: number, buffer: Uint8Array<ArrayBuffer>, flags = 0): number {
  return check(`receive on descriptor ${fd}`, c().recv(fd, buffer, BigInt(buffer.length), flags));
}

export function shutdown(fd: number, how: number): void {
  check(`shut down descriptor ${fd}`, c().shutdown(fd, how));
}

/** Takes a connection down at once, as a peer's reset does: both ends are told ECONNRESET (tcp_disconnect()). */
export function resetConnection(fd: number): void {
  const unspecified = new Uint8Array(16);
  check(`reset the connection of descriptor ${fd}`, c().connect(fd, unspecified, unspecified.length));
}

/** How many bytes can be read, as the kernel says (FIONREAD). */
export function unreadBytes(fd: number): number {
  const count = new Int32Array(1);
  const FIONREAD = 0x541bn;
  const result = c().ioctl(fd, FIONREAD, new Uint8Array(count.buffer));
  check(`ask how much of descriptor ${fd} is unread`, result);
  return count[0];
}
