import { layouts } from "../bpf/layouts.ts";
import { readStruct, writeStruct } from "../bpf/struct.ts";
import { SystemError } from "../host/errno.ts";
import * as libc from "../host/libc.ts";
import type { DataPlane } from "./start.ts";

const LOOK_MS = 100;
const LOOK_MS_MAX = 2000;

/**
 * Looks after readers that were full, so that some of their bytes went through TCP while redirected ones were unread: once
 * those are read, such a reader gets an edge, for it may not know that TCP has more (bpf/edges.h). Looks ten times a
 * second whether there are any, which is one system call.
 *
 * @param onError is told of an error once, after which nobody looks any more
 */
export function watchReaders(plane: DataPlane, onError: (error: Error) => void): Disposable {
  let timer = setTimeout(look, LOOK_MS);
  let wait = LOOK_MS;
  function look() {
    try {
      wait = nudgeReaders(plane) ? LOOK_MS : Math.min(2 * wait, LOOK_MS_MAX);
      timer = setTimeout(look, wait);
    } catch (error) {
      onError(error as Error);
    }
  }
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

/** Returns false when readers are still behind and none could be helped, so that there is time until the next look. */
function nudgeReaders({ object }: DataPlane): boolean {
  const behind = object.map("behind");
  const cookies = [...behind.keys()];
  if (cookies.length === 0) return true;
  for (const cookie of cookies) behind.update(cookie, writeStruct(layouts, "reader", {}));
  object.program("find_behind").iterate();
  let nudged = 0;
  for (const cookie of cookies) {
    const found = behind.lookup(cookie);
    if (!found) continue;
    const { pid, fd, unread_bytes } = readStruct(layouts, "reader", found);
    if (unread_bytes > 0n) continue;
    // Noted again if it fills up again from here on.
    behind.delete(cookie);
    if (pid !== 0 && nudge(pid, fd, readCookie(cookie))) nudged++;
  }
  return nudged > 0;
}

/** Makes an edge at a socket: tcp_set_rcvlowat() ends with tcp_data_ready(). */
function nudge(pid: number, fd: number, cookie: bigint): boolean {
  let copy: number;
  try {
    copy = libc.copyDescriptor(pid, fd);
  } catch (error) {
    // It closed the socket, or ended.
    if (error instanceof SystemError && ["ESRCH", "EBADF"].includes(error.code)) return false;
    throw error;
  }
  try {
    if (libc.getSocketOption(copy, libc.SOL_SOCKET, libc.SO_COOKIE) !== cookie) return false;
    const lowat = Number(libc.getSocketOption(copy, libc.SOL_SOCKET, libc.SO_RCVLOWAT));
    libc.setSocketOption(copy, libc.SOL_SOCKET, libc.SO_RCVLOWAT, lowat);
    return true;
  } finally {
    libc.close(copy);
  }
}

function readCookie(key: Uint8Array): bigint {
  return new DataView(key.buffer, key.byteOffset).getBigUint64(0, true);
}
