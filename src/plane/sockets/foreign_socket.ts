import { SystemError } from "../../host/libc/errno.ts";
import * as libc from "../../host/libc/mod.ts";

/** A socket of another process, as a scan of descriptors has seen it. */
export interface ForeignSocket {
  pid: number;
  fd: number;
  cookie: bigint;
}

/**
 * Does something with a socket of another process, through a descriptor of this one.
 *
 * @returns false when the process has closed it, or has ended
 * @throws SystemError: EPERM without CAP_SYS_PTRACE
 */
export function useForeignSocket(
  { pid, fd, cookie }: ForeignSocket,
  action: (fd: number) => void,
): boolean {
  let copy: number;
  try {
    const process = libc.openProcess(pid);
    try {
      copy = libc.copyDescriptor(process, fd);
    } finally {
      libc.close(process);
    }
  } catch (error) {
    if (error instanceof SystemError && ["ESRCH", "EBADF"].includes(error.code)) return false;
    throw error;
  }
  try {
    // The number may have become another descriptor's.
    if (libc.getSocketOption(copy, libc.SOL_SOCKET, libc.SO_COOKIE) !== cookie) return false;
    action(copy);
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENOTSOCK") return false;
    throw error;
  } finally {
    libc.close(copy);
  }
}
