/**
 * The functions of the C library that Deno has no API for. File descriptors are plain numbers; who opens one
 * closes it. A failure throws a {@link SystemError}.
 */
import { architecture } from "./architecture.ts";
import { errnoName, SystemError } from "./errno.ts";

const symbols = {
  __errno_location: { parameters: [], result: "pointer" },
  strerror: { parameters: ["i32"], result: "pointer" },
  vsnprintf: { parameters: ["buffer", "usize", "pointer", "pointer"], result: "i32" },
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  syscall: { parameters: ["i64", "i64", "i64", "i64", "i64", "i64"], result: "i64" },
  flock: { parameters: ["i32", "i32"], result: "i32" },
  statfs: { parameters: ["buffer", "buffer"], result: "i32" },
  mount: { parameters: ["buffer", "buffer", "buffer", "u64", "buffer"], result: "i32" },
  geteuid: { parameters: [], result: "u32" },
  dup2: { parameters: ["i32", "i32"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  inet_pton: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  accept4: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
  pollInThread: { name: "poll", parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  clock_getres: { parameters: ["i32", "buffer"], result: "i32" },
} as const;

/** Values from the kernel's headers; those that differ between machines are in architecture.ts. */
export const O_RDONLY = 0;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NONBLOCK = 0o4000;
export const { O_DIRECTORY, O_NOFOLLOW } = architecture.openFlags;
export const O_CLOEXEC = 0o2000000;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const MFD_CLOEXEC = 1;
export const MFD_NOEXEC_SEAL = 8;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_NONBLOCK = O_NONBLOCK;
export const SOCK_CLOEXEC = O_CLOEXEC;
export const SOL_SOCKET = 1;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_RCVLOWAT = 18;
export const SO_COOKIE = 57;
export const SOL_TCP = 6;
export const TCP_INFO = 11;
export const TCP_NOTSENT_LOWAT = 25;
export const SO_SNDBUFFORCE = 32;
export const MSG_PEEK = 2;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const FIONREAD = 0x541b;
export const SHUT_WR = 1;
export const SHUT_RDWR = 2;
export const POLLIN = 1;
export const POLLOUT = 4;

function openLibc() {
  return Deno.dlopen("libc.so.6", symbols).symbols;
}

type Libc = ReturnType<typeof openLibc>;

let opened: Libc | undefined;
let errnoCell: Int32Array | undefined;

/** The C library's own functions, for callers that need an address or a buffer of their own. */
export function libc(): Libc {
  return opened ??= openLibc();
}

/**
 * The calling thread's errno, as the last call left it. It is read straight from memory, because another call
 * into the C library could overwrite it.
 */
export function errno(): number {
  errnoCell ??= new Int32Array(Deno.UnsafePointerView.getArrayBuffer(libc().__errno_location()!, 4));
  return errnoCell[0];
}

/** The C library's text for an error number: `Operation not permitted`. */
export function strerror(errno: number): string {
  return Deno.UnsafePointerView.getCString(libc().strerror(errno)!);
}

/** A zero-terminated string for a C function. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) throw new TypeError(`Cannot pass ${JSON.stringify(text)} to C: it contains a NUL`);
  return new TextEncoder().encode(text + "\0");
}

function check(task: string, result: number | bigint, advice: Readonly<Record<string, string>> = {}): number {
  if (result < 0) throw new SystemError(task, errno(), advice[errnoName(errno())]);
  return Number(result);
}

function c(): Libc {
  // Found before the call, so that nothing comes between the call and the reading of its errno.
  if (!errnoCell) errno();
  return libc();
}

/** Opens a file or directory; returns its descriptor, which is closed on exec. */
export function open(path: string, flags: number, mode = 0): number {
  return check(`open ${path}`, c().open(cString(path), flags | O_CLOEXEC, mode));
}

export function close(fd: number): void {
  check(`close descriptor ${fd}`, c().close(fd));
}

/** Reads at most `buffer.length` bytes; returns how many, 0 at the end. */
export function read(fd: number, buffer: Uint8Array<ArrayBuffer>): number {
  return check(`read descriptor ${fd}`, c().read(fd, buffer, BigInt(buffer.length)));
}

/** Writes all of `bytes`. */
export function write(fd: number, bytes: Uint8Array<ArrayBuffer>): void {
  for (let done = 0; done < bytes.length;) {
    const rest = bytes.subarray(done);
    done += check(`write descriptor ${fd}`, c().write(fd, rest, BigInt(rest.length)));
  }
}

/** A file in memory without a name in any directory; returns its descriptor. */
export function memfdCreate(name: string): number {
  const create = (flags: number) =>
    check(`create a memory file for ${name}`, c().memfd_create(cString(name), flags | MFD_CLOEXEC));
  try {
    // With vm.memfd_noexec=2 the kernel creates no others; a library in one can still be mapped.
    return create(MFD_NOEXEC_SEAL);
  } catch (error) {
    // Kernels before 6.3 do not know the flag.
    if (error instanceof SystemError && error.code === "EINVAL") return create(0);
    throw error;
  }
}

/**
 * Takes or releases a lock on the file; false when another descriptor holds it and `operation` has LOCK_NB.
 */
export function flock(fd: number, operation: number): boolean {
  try {
    check(`lock descriptor ${fd}`, c().flock(fd, operation));
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.code === "EAGAIN") return false;
    throw error;
  }
}

/** What statfs(2) says of the filesystem that `path` is on: its magic number, as linux/magic.h names them. */
export function filesystemOf(path: string): { magic: number; readOnly: boolean } {
  const ST_RDONLY = 1n;
  const longs = new BigUint64Array(32);
  check(`find the filesystem of ${path}`, c().statfs(cString(path), new Uint8Array(longs.buffer)));
  // f_type and f_flags of struct statfs, of which every member is a long.
  return { magic: Number(longs[0]), readOnly: (longs[10] & ST_RDONLY) !== 0n };
}

export function mount(source: string, target: string, type: string, flags: number, data: string): void {
  const result = c().mount(cString(source), cString(target), cString(type), BigInt(flags), cString(data));
  check(`mount ${type} at ${target}`, result);
}

/** The effective user id of this process; 0 is root. */
export function geteuid(): number {
  return c().geteuid();
}

/** Makes `to` a descriptor of what `from` is; what it was before is closed. It is not closed on exec. */
export function dup2(from: number, to: number): void {
  check(`copy descriptor ${from} to ${to}`, c().dup2(from, to));
}

/** Programs that this process starts do not get the descriptor. */
export function closeOnExec(fd: number): void {
  const F_SETFD = 2, FD_CLOEXEC = 1;
  check(`mark descriptor ${fd}`, c().fcntl(fd, F_SETFD, FD_CLOEXEC));
}

/** The time of CLOCK_MONOTONIC, in microseconds. */
export function monotonicUs(): bigint {
  const CLOCK_MONOTONIC = 1;
  const time = new BigInt64Array(2);
  check("read the clock", c().clock_gettime(CLOCK_MONOTONIC, new Uint8Array(time.buffer)));
  return time[0] * 1_000_000n + time[1] / 1000n;
}

/** Opens a socket, which is closed on exec. `type` may have SOCK_NONBLOCK. */
export function socket(family: number, type: number, protocol = 0): number {
  return check("open a socket", c().socket(family, type | SOCK_CLOEXEC, protocol));
}

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

export function bind(fd: number, address: string, port: number): void {
  const bytes = socketAddress(address, port);
  check(`bind to ${address} port ${port}`, c().bind(fd, bytes, bytes.length));
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

/** Gives a socket of AF_UNIX a name, as {@link unixAddress} has it. */
export function bindUnix(fd: number, name: string): void {
  const address = unixAddress(name);
  check(`bind to ${name}`, c().bind(fd, address, address.length));
}

/** Sends a datagram to the socket of AF_UNIX that has this name. */
export function sendToUnix(fd: number, bytes: Uint8Array<ArrayBuffer>, name: string, flags = 0): void {
  const address = unixAddress(name);
  check(`send to ${name}`, c().sendto(fd, bytes, BigInt(bytes.length), flags, address, address.length));
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

/** Receives; returns how many bytes, 0 at the end of the stream. */
export function recv(fd: number, buffer: Uint8Array<ArrayBuffer>, flags = 0): number {
  return check(`receive on descriptor ${fd}`, c().recv(fd, buffer, BigInt(buffer.length), flags));
}

/** How many bytes can be read, as the kernel says (FIONREAD). */
export function unreadBytes(fd: number): number {
  const count = new Int32Array(1);
  const result = c().ioctl(fd, BigInt(FIONREAD), new Uint8Array(count.buffer));
  check(`ask how much of descriptor ${fd} is unread`, result);
  return count[0];
}

export function shutdown(fd: number, how: number): void {
  check(`shut down descriptor ${fd}`, c().shutdown(fd, how));
}

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

/** Takes a connection down at once, as a peer's reset does: both ends are told ECONNRESET (tcp_disconnect()). */
export function resetConnection(fd: number): void {
  const unspecified = new Uint8Array(16);
  check(`reset the connection of descriptor ${fd}`, c().connect(fd, unspecified, unspecified.length));
}

/** A system call that glibc has no function for, or has since 2.36 only; negative when it failed. */
function systemCall(number: bigint, ...args: bigint[]): bigint {
  const [first = 0n, second = 0n, third = 0n, fourth = 0n, fifth = 0n] = args;
  return c().syscall(number, first, second, third, fourth, fifth);
}

/** Numbers of asm-generic/unistd.h, which x86-64 shares from 424 on. */
const SYS_fsopen = 430n;
const SYS_fsconfig = 431n;
const SYS_fsmount = 432n;
const SYS_pidfd_open = 434n;
const SYS_pidfd_getfd = 438n;

/**
 * Waits until whatever ran in the kernel under RCU, as BPF programs do, when this was called has ended: that is what
 * MEMBARRIER_CMD_GLOBAL does (kernel/sched/membarrier.c). Some milliseconds; returns at once where the kernel has it not.
 */
export function waitForKernelReaders(): void {
  const MEMBARRIER_CMD_GLOBAL = 1n;
  systemCall(architecture.systemCalls.membarrier, MEMBARRIER_CMD_GLOBAL);
}

/** A descriptor of a process, which may end meanwhile. */
export function openProcess(pid: number): number {
  return check(`open process ${pid}`, systemCall(SYS_pidfd_open, BigInt(pid)));
}

/** A descriptor of this process for what `fd` is in the process behind `pidfd`. Needs CAP_SYS_PTRACE. */
export function copyDescriptor(pidfd: number, fd: number): number {
  const copy = systemCall(SYS_pidfd_getfd, BigInt(pidfd), BigInt(fd));
  return check(`copy descriptor ${fd} of another process`, copy, {
    EPERM:
      "it takes CAP_SYS_PTRACE, a kernel.yama.ptrace_scope below 3, and a security module that allows it",
  });
}

/** A filesystem of a type that needs no source, mounted nowhere: a descriptor of its root, by which it can be read. */
export function mountDetached(type: string): number {
  const FSOPEN_CLOEXEC = 1n, FSCONFIG_CMD_CREATE = 6n, FSMOUNT_CLOEXEC = 1n;
  const context = check(
    `open filesystem ${type}`,
    systemCall(SYS_fsopen, addressOf(cString(type)), FSOPEN_CLOEXEC),
  );
  try {
    check(`make filesystem ${type}`, systemCall(SYS_fsconfig, BigInt(context), FSCONFIG_CMD_CREATE));
    return check(`mount filesystem ${type}`, systemCall(SYS_fsmount, BigInt(context), FSMOUNT_CLOEXEC));
  } finally {
    close(context);
  }
}

/** A perf event of a tracepoint, of every process (perf_event_open(2)). */
export function openTracepoint(id: number): number {
  const PERF_TYPE_TRACEPOINT = 2, PERF_ATTR_SIZE_VER0 = 64, PERF_FLAG_FD_CLOEXEC = 8n;
  const attributes = new DataView(new ArrayBuffer(PERF_ATTR_SIZE_VER0));
  attributes.setUint32(0, PERF_TYPE_TRACEPOINT, true);
  attributes.setUint32(4, PERF_ATTR_SIZE_VER0, true);
  attributes.setBigUint64(8, BigInt(id), true);
  const address = addressOf(new Uint8Array(attributes.buffer));
  // BPF programs of a tracepoint run on every CPU, whichever the event is of.
  const [everyProcess, cpu, group] = [-1n, 0n, -1n];
  const args = [address, everyProcess, cpu, group, PERF_FLAG_FD_CLOEXEC];
  return check(`open tracepoint ${id}`, systemCall(architecture.systemCalls.perf_event_open, ...args));
}

function addressOf(bytes: Uint8Array<ArrayBuffer>): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
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

/** How many jiffies a second has: CLOCK_MONOTONIC_COARSE goes by them (hrtimer's KTIME_LOW_RES). */
export function jiffiesPerSecond(): number {
  const CLOCK_MONOTONIC_COARSE = 6;
  const resolution = new BigInt64Array(2);
  check(
    "read a clock's resolution",
    c().clock_getres(CLOCK_MONOTONIC_COARSE, new Uint8Array(resolution.buffer)),
  );
  return Math.round(1e9 / Number(resolution[1]));
}

/** Waits until one of `events` holds; returns those that do, 0 when the time is over. */
export function poll(fd: number, events: number, timeoutMs: number): number {
  const entry = new DataView(new ArrayBuffer(8));
  entry.setInt32(0, fd, true);
  entry.setInt16(4, events, true);
  check(`poll descriptor ${fd}`, c().poll(new Uint8Array(entry.buffer), 1n, timeoutMs));
  return entry.getInt16(6, true);
}

/** A descriptor that can be read once something was written to it: 8 bytes, a number that is not 0. */
export function eventDescriptor(): number {
  return check("make an event descriptor", c().eventfd(0, O_CLOEXEC));
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
  if (found < 0) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  return fds.map((_, index) => (entries.getInt16(index * ENTRY_BYTES + 6, true) & POLLIN) !== 0);
}
