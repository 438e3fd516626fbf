import { getLogger } from "@logtape/logtape";
import { enums, layouts } from "../../generated/layouts.ts";
import type { BpfObject } from "../../libbpf/object.ts";
import { readStruct, type StructValue, u32, u64, writeStruct } from "../../libbpf/struct.ts";
import { isShortage } from "../../host/descriptors.ts";
import { SystemError } from "../../host/libc/errno.ts";
import * as libc from "../../host/libc/mod.ts";
import { askToLeave } from "./leave.ts";
import { useForeignSocket } from "./foreign_socket.ts";

const log = getLogger("mda");

/** How long a connection may take: its peer adds to what there is. */
const MOVE_MS = 1000;
/** What a message costs in a send buffer beyond its bytes (SKB_TRUESIZE), at most. */
const OVERHEAD = 4;
const ROOM_MIN = 65536;
/** So much is moved at once. */
const CHUNK_BYTES = 4 << 20;

type Executable = StructValue<typeof layouts, "executable">;

/**
 * Hands over to TCP what was redirected to sockets that are read beside the redirected queue, as bpf/handover.h has it, and
 * says what was lost.
 *
 * @throws Error for want of descriptors; what could not be handed over is tried again at the next call
 */
export function handOver(object: BpfObject): void {
  const bypassed = object.map("bypassed");
  const cookies = [...bypassed.keys()].map(number);
  if (cookies.length === 0) return;
  const done = new Set(cookies);
  let failed: Error | undefined;
  const attempt = (readers: bigint[], action: () => void) => {
    try {
      action();
    } catch (error) {
      if (!isShortage(error)) {
        log.warn(`${(error as Error).message}; a program that has begun to splice may wait for bytes`);
        return;
      }
      failed = error;
      for (const cookie of readers) done.delete(cookie);
    }
  };
  attempt(cookies, () => {
    for (const reader of findSockets(object, cookies)) {
      attempt([reader.cookie], () => handOverTo(object, reader));
    }
  });
  for (const cookie of done) bypassed.delete(u64(cookie));
  if (failed) throw failed;
}

/** Whether there is something to hand over. */
export function someIsBypassed(object: Pick<BpfObject, "map">): boolean {
  return !object.map("bypassed").keys().next().done;
}

/** @throws SystemError: EPERM when a process is out of reach */
function handOverTo(object: BpfObject, reader: Found): void {
  useForeignSocket(reader, (fd) => {
    // A socket's storage is looked up by a descriptor of it.
    const bytes = object.map("lanes").lookup(u32(fd));
    if (!bytes || reader.unread === 0) return;
    const { executable, peer, key } = readStruct(layouts, "lane", bytes);
    const [sender] = findSockets(object, [peer.cookie]);
    let moved = false;
    if (sender) useForeignSocket(sender, (senderFd) => void (moved = move(object, reader, fd, senderFd)));
    if (moved) {
      askToLeave(object, key & ~1n, enums.leave.LEAVE_BY_HABIT);
      return;
    }
    const why = sender
      ? "bytes that had been redirected to it could not be sent again through TCP"
      : "its peer has closed it while redirected bytes waited that it does not take with recv(2)";
    log.warn(`a connection of ${nameOf(object, executable)} (process ${reader.pid}) was reset: ${why}`);
    libc.resetConnection(fd);
  });
}

/** A socket, by a descriptor that a process has of it. */
export interface Found {
  cookie: bigint;
  pid: number;
  fd: number;
  unread: number;
}

/** Where sockets are; those that nobody has open are left out. */
export function findSockets(object: BpfObject, cookies: bigint[]): Found[] {
  const readers = object.map("readers");
  // Some may be looked for already, for an edge.
  const added = cookies.filter((cookie) => readers.lookup(u64(cookie)) === undefined);
  for (const cookie of added) readers.update(u64(cookie), writeStruct(layouts, "reader", {}));
  try {
    object.program("find_readers").iterate();
    return cookies.map((cookie) => {
      const { pid, fd, unread_bytes } = readStruct(layouts, "reader", readers.lookup(u64(cookie))!);
      return { cookie, pid, fd, unread: Number(unread_bytes) };
    }).filter(({ pid }) => pid !== 0);
  } finally {
    for (const cookie of added) readers.delete(u64(cookie));
  }
}

/** Returns false when it could not: the connection is to be reset then. */
function move(object: BpfObject, { cookie, unread }: Found, readerFd: number, senderFd: number): boolean {
  const bypassed = object.map("bypassed");
  for (const end = performance.now() + MOVE_MS; unread > 0; unread = unreadBytes(object, cookie)) {
    if (performance.now() > end) return false;
    try {
      // Not more: what follows is TCP's. Some kernels do not say how much it is, when it is many messages (bpf/flow.h).
      const waiting = receive(readerFd, Math.min(unread, CHUNK_BYTES), libc.MSG_PEEK);
      bypassed.update(u64(cookie), u32(waiting.length));
      makeRoom(senderFd, waiting.length);
      const sent = libc.send(senderFd, waiting, libc.MSG_DONTWAIT | libc.MSG_NOSIGNAL);
      // The rest could come behind what the peer sends from now on.
      if (!discard(readerFd, waiting.subarray(0, sent)) || sent < waiting.length) return false;
    } catch (error) {
      // EACCES: the program has taken some of it.
      if (!(error instanceof SystemError && ["EACCES", "EAGAIN"].includes(error.code))) return false;
    }
  }
  return true;
}

function unreadBytes(object: BpfObject, cookie: bigint): number {
  return findSockets(object, [cookie])[0]?.unread ?? 0;
}

/** What the reader would read next: redirected bytes before TCP's. */
function receive(fd: number, bytes: number, flags: number): Uint8Array<ArrayBuffer> {
  const buffer = new Uint8Array(bytes);
  return buffer.subarray(0, libc.recv(fd, buffer, flags | libc.MSG_DONTWAIT));
}

/** Takes the first of the two copies of what was sent again. False when the program has taken some of it, by recv(2). */
function discard(fd: number, sent: Uint8Array<ArrayBuffer>): boolean {
  try {
    for (let done = 0; done < sent.length;) {
      const taken = receive(fd, sent.length - done, 0);
      if (taken.length === 0 || taken.some((byte, index) => byte !== sent[done + index])) return false;
      done += taken.length;
    }
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.code === "EAGAIN") return false;
    throw error;
  }
}

/** So that all is taken at once: what is left over could only be sent after what the peer sends next. */
function makeRoom(fd: number, bytes: number): void {
  const needed = ROOM_MIN + OVERHEAD * bytes;
  // Gets twice what is set.
  if (Number(libc.getSocketOption(fd, libc.SOL_SOCKET, libc.SO_SNDBUF) & 0xffffffffn) >= needed) return;
  libc.setSocketOption(fd, libc.SOL_SOCKET, libc.SO_SNDBUFFORCE, needed);
}

function nameOf(object: BpfObject, executable: Executable): string {
  const program = object.map("programs").lookup(writeStruct(layouts, "executable", executable));
  return program ? readStruct(layouts, "program", program).name : "a program";
}

function number(key: Uint8Array): bigint {
  return new DataView(key.buffer, key.byteOffset).getBigUint64(0, true);
}
