import { setTimeout as sleep } from "node:timers/promises";
import { c, check } from "./call.ts";
import { O_CLOEXEC } from "./files.ts";

export const POLLIN = 1;
export const POLLOUT = 4;

/** Waits until one of `events` holds; returns those that do, 0 when the time is over. */
export function poll(fd: number, events: number, timeoutMs: number): number {
  const entry = new DataView(new ArrayBuffer(8));
  entry.setInt32(0, fd, true);
  entry.setInt16(4, events, true);
  check(`poll descriptor ${fd}`, c().poll(new Uint8Array(entry.buffer), 1n, timeoutMs));
  return entry.getInt16(6, true);
}

/** Waits, in a thread of its own, until one of several descriptors has input; says for each whether it has. */
export async function waitForInput(fds: number[]): Promise<boolean[]> {
  const ENTRY_BYTES = 8, FOR_EVER = -1, AGAIN_MS = 100;
  const entries = new DataView(new ArrayBuffer(ENTRY_BYTES * fds.length));
  fds.forEach((fd, index) => {
    entries.setInt32(index * ENTRY_BYTES, fd, true);
    entries.setInt16(index * ENTRY_BYTES + 4, POLLIN, true);
  });
  const found = await c().pollInThread(new Uint8Array(entries.buffer), BigInt(fds.length), FOR_EVER);
  // More than the limit of open files, which was lowered: not at once again.
  if (found < 0) await sleep(AGAIN_MS);
  return fds.map((_, index) => (entries.getInt16(index * ENTRY_BYTES + 6, true) & POLLIN) !== 0);
}

/** An epoll instance that watches `fd` for input; returns its descriptor. */
export function watchInput(fd: number): number {
  const EPOLL_CTL_ADD = 1, EPOLLIN = 1;
  const epoll = check("make an epoll instance", c().epoll_create1(O_CLOEXEC));
  // struct epoll_event, of 12 bytes on x86-64 and 16 on arm64.
  const event = new Uint8Array(16);
  event[0] = EPOLLIN;
  check(`watch descriptor ${fd}`, c().epoll_ctl(epoll, EPOLL_CTL_ADD, fd, event));
  return epoll;
}

/** A descriptor that can be read once something was written to it: 8 bytes, a number that is not 0. */
export function eventDescriptor(): number {
  return check("make an event descriptor", c().eventfd(0, O_CLOEXEC));
}
