import probeBytes from "../../build/probe.bpf.o" with { type: "bytes" };
import { BpfError } from "../bpf/errors.ts";
import { type BpfObject, openObject } from "../bpf/object.ts";
import { u32 } from "../bpf/struct.ts";
import * as libc from "../host/libc.ts";
import { load } from "./load.ts";

/** SO_MEMINFO of asm-generic/socket.h; its first number is sk_rmem_alloc. */
const SO_MEMINFO = 55;
const PROBE_BYTES = 1000;

/** What differs between kernels, found out by trying. */
export interface KernelFeatures {
  /** The values of the BPF object's constants, by their names. */
  constants: KernelConstants;
  /** A program may look at all descriptors (iter/task_file): else nothing can be adopted, and no edge be made. */
  iterates_files: boolean;
}

export interface KernelConstants {
  /** Redirecting a message charges its receiver's sk_rmem_alloc, so that one read tells how full a reader is. */
  charges_receiver: boolean;
  /** bpf_rdonly_cast() is there, so that reading a kernel address is a load and not a call. */
  casts_addresses: boolean;
  /** Where ep_poll_callback() is: by it a socket's wait queue tells who waits for edges. 0n when it is not known. */
  epoll_callback: bigint;
}

/** Tries what this kernel can do. A feature that cannot be tried counts as missing: the data plane works without any. */
export function probeKernel(): KernelFeatures {
  return {
    constants: { casts_addresses: loads("cast_address"), ...tryRedirecting() },
    iterates_files: loads("iterate_files"),
  };
}

const programs = ["redirect_to_one", "cast_address", "iterate_files"] as const;

/** The probe with one of its programs. */
function openProbe(program: typeof programs[number]): BpfObject {
  const autoload = Object.fromEntries(programs.map((name) => [name, name === program]));
  return openObject(probeBytes, "probe", { autoload });
}

function loads(program: typeof programs[number]): boolean {
  using object = openProbe(program);
  try {
    object.load();
    return true;
  } catch (error) {
    if (error instanceof BpfError) return false;
    throw error;
  }
}

function tryRedirecting(): Pick<KernelConstants, "charges_receiver" | "epoll_callback"> {
  using object = openProbe("redirect_to_one");
  load(object);
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
    for (const [index, fd] of [sender, receiver].entries()) {
      pair.update(u32(index), u32(fd));
    }
    libc.send(sender, new Uint8Array(new ArrayBuffer(PROBE_BYTES)), libc.MSG_DONTWAIT);
    const charged = Number(libc.getSocketOption(receiver, libc.SOL_SOCKET, SO_MEMINFO) & 0xffffffffn);
    const callback = object.map("waiter_function").lookup(u32(0))!;
    return {
      charges_receiver: charged >= PROBE_BYTES,
      epoll_callback: new BigUint64Array(callback.buffer)[0],
    };
  } catch (error) {
    // No loopback to try it on, say: counting the unread messages works everywhere.
    if (error instanceof Error) return { charges_receiver: false, epoll_callback: 0n };
    throw error;
  } finally {
    fds.reverse().forEach(libc.close);
  }
}
