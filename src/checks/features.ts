import { enums } from "../generated/layouts.ts";
import { BpfError } from "../libbpf/errors.ts";
import type { BpfMap } from "../libbpf/map.ts";
import type { BpfObject } from "../libbpf/object.ts";
import type { BpfObjectProgram } from "../libbpf/program.ts";
import { readU64, u32, u64 } from "../libbpf/struct.ts";
import { isShortage } from "../host/descriptors.ts";
import { SystemError } from "../host/libc/errno.ts";
import * as libc from "../host/libc/mod.ts";
import { openTracepoints } from "../host/tracepoints.ts";
import { load } from "./load.ts";
import { type HookProbeProgram, openHookProbe, openProbe, type ProbeProgram } from "./probe.ts";

const { FIONREAD_TCP, FIONREAD_REDIRECTED, FIONREAD_BOTH } = enums.fionread_counts;

/** SO_MEMINFO of asm-generic/socket.h; its first number is sk_rmem_alloc. */
const SO_MEMINFO = 55;
const PROBE_BYTES = 1000;
/** Sent through TCP before that. */
const TCP_BYTES = 300;
const ARRIVES_MS = 1000;
/** What the probe says when it had no storage for a socket. */
const NO_STORAGE = 2n;

/** What differs between kernels, found out by trying. */
export interface KernelFeatures {
  /** The values of the BPF object's constants, by their names. */
  constants: KernelConstants;
  /** A program may look at all descriptors (iter/task_file): else nothing can be adopted, and no edge be made. */
  iterates_files: boolean;
  /** A program at a tracepoint may use the storage of a socket: else a reset of one without callbacks is only seen by scans. */
  sees_resets: boolean;
  /** Where it can be seen what programs do with their sockets. */
  hooks: HookKind;
  /** What the kernel said when it had no storage for a socket. */
  storage_error?: BpfError;
}

/**
 * In the order in which they are tried: the functions of the kernel themselves, at no cost until they are called, by fentry or
 * by breakpoints; some system calls, by their tracepoints; all system calls.
 */
export type HookKind = "functions" | "kprobes" | "tracepoints" | "system calls" | "none";

export interface KernelConstants {
  /** Redirecting a message charges its receiver's sk_rmem_alloc, so that one read tells how full a reader is. */
  charges_receiver: boolean;
  /** bpf_rdonly_cast() is there, so that reading a kernel address is a load and not a call. */
  casts_addresses: boolean;
  /** A program may copy the messages that it sees: else mda dump has nothing to show. */
  can_dump: boolean;
  /** Where ep_poll_callback() is: by it a socket's wait queue tells who waits for edges. 0n when it is not known. */
  epoll_callback: bigint;
  /** Where a system call's registers are on the kernel stack: by them it is seen what a message is sent with. 0: unknown. */
  registers_at: number;
  /** What FIONREAD counts of a socket in a sockmap: a number of enum fionread_counts. */
  fionread_counts: number;
}

/** Tries what this kernel can do. A feature that cannot be tried counts as missing: the data plane works without any. */
export function probeKernel(): KernelFeatures {
  const found = tryAtOnce() ?? tryOneByOne();
  return { ...found, hooks: tryHooks(found.constants.fionread_counts) };
}

/** Whether an sk_msg program may copy the messages that it sees. Verifiers before Linux 6.2 do not follow it. */
export function canCopyMessages(): boolean {
  return loads("cast_address") && loads("copy_message");
}

/** On most kernels all of these load: opening the probe takes more time than loading it. */
function tryAtOnce(): Omit<KernelFeatures, "hooks"> | undefined {
  using object = openProbe("redirect_to_one", "cast_address", "iterate_files", "hook_reset", "copy_message");
  try {
    object.load();
  } catch (error) {
    if (error instanceof BpfError && !isShortage(error)) return undefined;
    throw error;
  }
  const { constants, storage_error } = tryRedirecting(object);
  return {
    constants: { casts_addresses: true, can_dump: true, ...constants },
    iterates_files: true,
    sees_resets: true,
    storage_error,
  };
}

function tryOneByOne(): Omit<KernelFeatures, "hooks"> {
  using object = openProbe("redirect_to_one");
  load(object);
  const { constants, storage_error } = tryRedirecting(object);
  return {
    constants: { casts_addresses: loads("cast_address"), can_dump: canCopyMessages(), ...constants },
    iterates_files: loads("iterate_files"),
    sees_resets: loads("hook_reset"),
    storage_error,
  };
}

/** @param fionread_counts where FIONREAD is answered, and so where it is to be seen */
function tryHooks(fionread_counts: number): HookKind {
  const attaches = (program: BpfObjectProgram) => program.attachTrace().close();
  if (
    isThere("hook_function", attaches) &&
    (fionread_counts !== FIONREAD_REDIRECTED || isThere("hook_inq", attaches))
  ) return "functions";
  const functions = ["tcp_splice_read", ...fionread_counts === FIONREAD_REDIRECTED ? ["tcp_bpf_ioctl"] : []];
  if (isThere("hook_breakpoint", (program) => functions.forEach((name) => tryKprobe(program, name)))) {
    return "kprobes";
  }
  if (isThere("hook_system_call", tryTracepoint)) return "tracepoints";
  if (isThere("hook_system_calls", attaches)) return "system calls";
  return "none";
}

/** Before 5.15 an attachment to a perf event is no link, and ends with its process. */
function tryKprobe(program: BpfObjectProgram, name: string): void {
  using link = program.attachKprobe(name);
  link.info();
}

/** Before 5.15 an attachment to a perf event is no link, and ends with its process. */
function tryTracepoint(program: BpfObjectProgram): void {
  using tracepoints = openTracepoints();
  program.attachTracepoint(tracepoints.id("syscalls/sys_enter_splice")).close();
}

function loads(name: ProbeProgram): boolean {
  using object = openProbe(name);
  return works(() => object.load());
}

function isThere(hook: HookProbeProgram, use: (program: BpfObjectProgram) => void): boolean {
  using object = openHookProbe(hook);
  return works(() => {
    object.load();
    use(object.program(hook));
  });
}

function works(attempt: () => void): boolean {
  try {
    attempt();
    return true;
  } catch (error) {
    // The kernel may well have it.
    if (isShortage(error)) throw error;
    if (error instanceof BpfError || error instanceof SystemError || error instanceof Deno.errors.NotFound) {
      return false;
    }
    throw error;
  }
}

interface Redirecting {
  constants: Omit<KernelConstants, "casts_addresses" | "can_dump">;
  storage_error?: BpfError;
}

function tryRedirecting(object: BpfObject): Redirecting {
  const pair = object.map("pair");
  object.program("redirect_to_one").attachToSockets(pair);
  const fds: number[] = [];
  const keep = (fd: number) => (fds.push(fd), fd);
  try {
    const listener = keep(libc.socket(libc.AF_INET, libc.SOCK_STREAM | libc.SOCK_CLOEXEC));
    libc.bind(listener, "127.0.0.1", 0);
    libc.listen(listener);
    const sender = keep(libc.socket(libc.AF_INET, libc.SOCK_STREAM | libc.SOCK_CLOEXEC));
    libc.connect(sender, "127.0.0.1", libc.localPort(listener));
    const receiver = keep(libc.accept(listener, libc.SOCK_CLOEXEC));
    keep(libc.watchInput(sender));
    const allocated = () => Number(libc.getSocketOption(receiver, libc.SOL_SOCKET, SO_MEMINFO) & 0xffffffffn);
    const send = (bytes: number) =>
      libc.send(sender, new Uint8Array(new ArrayBuffer(bytes)), libc.MSG_DONTWAIT);
    send(TCP_BYTES);
    libc.poll(receiver, libc.POLLIN, ARRIVES_MS);
    const before = allocated();
    for (const [index, fd] of [sender, receiver].entries()) {
      pair.update(u32(index), u32(fd));
    }
    send(PROBE_BYTES);
    const charged = allocated() - before;
    const unread = libc.unreadBytes(receiver);
    const finding = (name: string) => readU64(object.map(name).lookup(u32(0))!);
    const constants = {
      charges_receiver: charged >= PROBE_BYTES,
      epoll_callback: finding("waiter_function"),
      registers_at: Number(finding("registers_at")),
      fionread_counts: whatIsCounted(unread),
    };
    const noStorage = finding("storage") === NO_STORAGE;
    return { constants, storage_error: noStorage ? storageError(object.map("storages"), sender) : undefined };
  } catch (error) {
    // No loopback to try it on, say: counting the unread messages works everywhere.
    if (error instanceof Error && !isShortage(error)) {
      const constants = {
        charges_receiver: false,
        epoll_callback: 0n,
        registers_at: 0,
        fionread_counts: FIONREAD_TCP,
      };
      return { constants };
    }
    throw error;
  } finally {
    fds.reverse().forEach(libc.close);
  }
}

/** @param unread what FIONREAD says of PROBE_BYTES that were redirected and TCP_BYTES that were not */
function whatIsCounted(unread: number): number {
  if (unread >= TCP_BYTES + PROBE_BYTES) return FIONREAD_BOTH;
  return unread >= PROBE_BYTES ? FIONREAD_REDIRECTED : FIONREAD_TCP;
}

/** The program is told no reason; bpf(2) is, and by its own try it is known that the lack lasts. */
function storageError(storages: BpfMap, socket: number): BpfError | undefined {
  try {
    storages.update(u32(socket), u64(0n));
    return undefined;
  } catch (error) {
    if (error instanceof BpfError) return error;
    throw error;
  }
}
