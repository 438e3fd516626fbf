import * as libc from "./libc/mod.ts";
import { SystemError } from "./libc/errno.ts";

/** After how many seconds IPVS forgets what is idle: struct ip_vs_timeout_user (linux/ip_vs.h). */
export interface IpvsTimeouts {
  tcp: number;
  tcp_fin: number;
  udp: number;
}

const SOCK_RAW = 3, IPPROTO_RAW = 255;
const SOL_IP = 0, IP_VS_SO_GET_TIMEOUT = 64 + 1024 + 64 + 6;

/** Of this network namespace; undefined where the kernel has no IPVS, or does not tell. */
export function ipvsTimeouts(): IpvsTimeouts | undefined {
  let fd: number;
  try {
    fd = libc.socket(libc.AF_INET, SOCK_RAW, IPPROTO_RAW);
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
  try {
    const value = new Int32Array(3), length = new Uint32Array([value.byteLength]);
    const buffers = [new Uint8Array(value.buffer), new Uint8Array(length.buffer)] as const;
    if (libc.libc().getsockopt(fd, SOL_IP, IP_VS_SO_GET_TIMEOUT, ...buffers) < 0) return undefined;
    const [tcp, tcp_fin, udp] = value;
    return { tcp, tcp_fin, udp };
  } finally {
    libc.close(fd);
  }
}
