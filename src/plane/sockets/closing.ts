import type { BpfObject } from "../../libbpf/object.ts";
import { u64 } from "../../libbpf/struct.ts";
import { SystemError } from "../../host/libc/errno.ts";
import * as libc from "../../host/libc/mod.ts";
import { type ForeignSocket, useForeignSocket } from "./foreign_socket.ts";
import { findSockets } from "./handover.ts";
import { keyOf } from "../../state/member.ts";

/** TCP_INFO's first byte. */
const ESTABLISHED = 1, FIN_WAIT1 = 4, FIN_WAIT2 = 5;
/** So many are looked for at once: the table for that is also for other readers. */
const FIND_MAX = 256;

/** The peer of an end that was closed with redirected bytes unread: it has been told nothing of that yet. */
export type PeerOfClosed = ForeignSocket;

/** Where those are; those that nobody has open are left out. */
export function findPeersOfClosed(object: BpfObject, cookies: bigint[]): PeerOfClosed[] {
  const found: PeerOfClosed[] = [];
  for (let at = 0; at < cookies.length; at += FIND_MAX) {
    found.push(...findSockets(object, cookies.slice(at, at + FIND_MAX)));
  }
  return found;
}

/**
 * Makes the connection end with a reset for the peer, as bpf/closing.h has it.
 *
 * @returns whether there is nothing left to do
 * @throws SystemError: EPERM when a process is out of reach
 */
export function resetPeerOfClosed(object: BpfObject, peer: PeerOfClosed): boolean {
  let done = true;
  useForeignSocket(peer, (fd) => {
    try {
      const state = Number(libc.getSocketOption(fd, libc.SOL_TCP, libc.TCP_INFO) & 0xffn);
      if (state === ESTABLISHED) libc.send(fd, new Uint8Array(1), libc.MSG_DONTWAIT | libc.MSG_NOSIGNAL);
      else if (state === FIN_WAIT1 || state === FIN_WAIT2) done = resetHalfClosed(object, fd);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      // The peer has sent something itself, or there is no room.
      if (error.code === "EAGAIN") done = false;
      else if (!["EPIPE", "ECONNRESET"].includes(error.code)) throw error;
    }
  });
  return done;
}

/** An end that has shut down can send nothing that is answered: its connection is taken down from here, once it has read all. */
function resetHalfClosed(object: BpfObject, fd: number): boolean {
  const key = keyOf(object, fd);
  if (key === undefined) return true;
  if (hasUnread(fd)) return false;
  // Nobody redirects to it any more. Inside of the sockhash it would be told EAGAIN (docs/limits.md).
  object.map("sockets").delete(u64(key));
  libc.resetConnection(fd);
  try {
    // Later reads say 0, and sends EPIPE, as after a reset.
    libc.shutdown(fd, libc.SHUT_RDWR);
  } catch (error) {
    if (!(error instanceof SystemError && error.code === "ENOTCONN")) throw error;
  }
  return true;
}

function hasUnread(fd: number): boolean {
  try {
    return libc.recv(fd, new Uint8Array(1), libc.MSG_PEEK | libc.MSG_DONTWAIT) > 0;
  } catch (error) {
    if (error instanceof SystemError && error.code === "EAGAIN") return false;
    throw error;
  }
}
