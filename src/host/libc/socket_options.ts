import { c, check } from "./call.ts";

export const SOL_SOCKET = 1;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_RCVLOWAT = 18;
export const SO_SNDBUFFORCE = 32;
export const SO_COOKIE = 57;
export const SOL_TCP = 6;
export const TCP_INFO = 11;
export const TCP_NOTSENT_LOWAT = 25;

/** Sets an option that is an int. */
export function setSocketOption(fd: number, level: number, option: number, value: number): void {
  const bytes = new Uint8Array(new Int32Array([value]).buffer);
  check(`set option ${option} of descriptor ${fd}`, c().setsockopt(fd, level, option, bytes, 4));
}

/** Reads an option of up to 8 bytes: an int, or SO_COOKIE's 64 bits. */
export function getSocketOption(fd: number, level: number, option: number): bigint {
  const value = new BigUint64Array(1);
  const length = new Uint32Array([8]);
  const buffers = [new Uint8Array(value.buffer), new Uint8Array(length.buffer)] as const;
  check(`get option ${option} of descriptor ${fd}`, c().getsockopt(fd, level, option, ...buffers));
  return value[0];
}
