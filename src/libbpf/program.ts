import { SystemError } from "../host/libc/errno.ts";
import * as libc from "../host/libc/mod.ts";
import { abi, abiEnums } from "../generated/abi.ts";
import { callForNumber, callForPointer } from "./errors.ts";
import { Handle, openPinnedFd, type Owner } from "./handle.ts";
import { BpfLink, EventLink } from "./link.ts";
import type { BpfMap } from "./map.ts";
import { type ProgramInfo, programInfo } from "./program_info.ts";
import { readStruct, u32, writeStruct } from "./struct.ts";

const { BPF_SK_MSG_VERDICT, BPF_PERF_EVENT } = abiEnums.bpf_attach_type;

/** A loaded program by its descriptor, whoever loaded it. */
export class BpfProgram extends Handle {
  readonly info: ProgramInfo;

  /** @param owner what closes the descriptor, when it is not this handle's own */
  constructor(fd: number, owner?: Owner) {
    super("program", fd, owner);
    this.info = programInfo(fd);
  }

  /**
   * Opens the program pinned at `path`; undefined when nothing is there.
   *
   * @throws Error when it is no program, BpfError when the kernel refuses
   */
  static openPinned(path: string): BpfProgram | undefined {
    const fd = openPinnedFd(path, "prog");
    if (fd === undefined) return undefined;
    try {
      return new BpfProgram(fd);
    } catch (error) {
      libc.close(fd);
      throw error;
    }
  }

  /**
   * Attaches an sk_msg program to the messages of the sockets in a sockhash. The sockets there at the time
   * keep it.
   */
  attachToSockets(sockhash: BpfMap): void {
    callForNumber(
      `attach program ${this.info.name} to sockhash ${sockhash.info.name}`,
      (s) => s.bpf_prog_attach(this.fd, sockhash.fd, BPF_SK_MSG_VERDICT, 0),
    );
  }

  /** Undoes {@link attachToSockets} for sockets that come later. */
  detachFromSockets(sockhash: BpfMap): void {
    callForNumber(
      `detach program ${this.info.name} from sockhash ${sockhash.info.name}`,
      (s) => s.bpf_prog_detach2(this.fd, sockhash.fd, BPF_SK_MSG_VERDICT),
    );
  }

  /**
   * Runs a program of traffic control once, on `packet`, which it may change (BPF_PROG_TEST_RUN).
   *
   * @param packet at least 14 bytes, at most about 3 KiB: a page less what the kernel keeps beside it
   * @returns what the program returned
   */
  runOn(packet: Uint8Array<ArrayBuffer>): number {
    const address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(packet));
    const options = writeStruct(abi, "bpf_test_run_opts", {
      sz: abi.bpf_test_run_opts.size,
      data_in: address,
      data_out: address,
      data_size_in: packet.length,
      data_size_out: packet.length,
    });
    callForNumber(`run program ${this.info.name}`, (s) => s.bpf_prog_test_run_opts(this.fd, options));
    return readStruct(abi, "bpf_test_run_opts", options).retval;
  }
}

/** A program of an object that this process has loaded. */
export class BpfObjectProgram extends BpfProgram {
  readonly #pointer: Deno.PointerObject;

  constructor(fd: number, pointer: Deno.PointerObject, owner: Owner) {
    super(fd, owner);
    this.#pointer = pointer;
  }

  /**
   * Attaches a sockops or cgroup program to a cgroup, beside those that are there.
   *
   * @param cgroupFd a descriptor of the cgroup's directory, which may be closed afterwards
   */
  attachCgroup(cgroupFd: number): BpfLink {
    return this.#link(
      `attach program ${this.info.name} to ${Deno.readLinkSync(`/proc/self/fd/${cgroupFd}`)}`,
      (s) => s.bpf_program__attach_cgroup(this.#open(), cgroupFd),
      {
        EPERM: "a program may be attached to this cgroup or one above it exclusively: `bpftool cgroup tree`",
      },
    );
  }

  /** Attaches a program to the function of the kernel, or the tracepoint, that its section names. */
  attachTrace(): BpfLink {
    return this.#link(
      `attach program ${this.info.name}`,
      (s) => s.bpf_program__attach_trace(this.#open()),
    );
  }

  /** Attaches a program to the entry of a function of the kernel, by a breakpoint. What can be pinned needs 5.15. */
  attachKprobe(name: string): BpfLink {
    return this.#link(
      `attach program ${this.info.name} to ${name}`,
      (s) => s.bpf_program__attach_kprobe(this.#open(), false, libc.cString(name)),
    );
  }

  /**
   * Attaches a program to a tracepoint. Needs 5.15.
   *
   * @param id the tracepoint's number
   */
  attachTracepoint(id: number): EventLink {
    const event = libc.openTracepoint(id);
    try {
      const fd = callForNumber(
        `attach program ${this.info.name} to tracepoint ${id}`,
        (s) => s.bpf_link_create(this.fd, event, BPF_PERF_EVENT, null),
      );
      return new EventLink(fd);
    } finally {
      libc.close(event);
    }
  }

  /**
   * Runs an iterator from beginning to end; returns what it wrote.
   *
   * @param map what it goes over, when that is a map's elements
   */
  iterate(map?: BpfMap): Uint8Array<ArrayBuffer> {
    using link = this.#link(
      `attach iterator ${this.info.name}`,
      (s) => {
        if (!map) return s.bpf_program__attach_iter(this.#open(), null);
        // union bpf_iter_link_info, linux/bpf.h: the map's descriptor is its first word.
        const info = u32(map.fd);
        const options = writeStruct(abi, "bpf_iter_attach_opts", {
          sz: abi.bpf_iter_attach_opts.size,
          link_info: Deno.UnsafePointer.value(Deno.UnsafePointer.of(info)),
          link_info_len: info.length,
        });
        return s.bpf_program__attach_iter(this.#open(), Deno.UnsafePointer.of(options));
      },
    );
    const fd = callForNumber(`start iterator ${this.info.name}`, (s) => s.bpf_iter_create(link.fd));
    try {
      return readToEnd(fd);
    } finally {
      libc.close(fd);
    }
  }

  #link(...call: Parameters<typeof callForPointer>): BpfLink {
    return new BpfLink(callForPointer(...call));
  }

  #open(): Deno.PointerObject {
    // Throws when the object, and with it the struct behind the pointer, is gone.
    void this.fd;
    return this.#pointer;
  }
}

function readToEnd(fd: number): Uint8Array<ArrayBuffer> {
  const chunks: Uint8Array[] = [];
  const buffer = new Uint8Array(new ArrayBuffer(65536));
  for (;;) {
    try {
      const count = libc.read(fd, buffer);
      if (count === 0) break;
      chunks.push(buffer.slice(0, count));
    } catch (error) {
      // bpf_seq_read gives up after a million objects without output, and goes on where it was at the next
      // read.
      if (!(error instanceof SystemError && (error.code === "EAGAIN" || error.code === "EINTR"))) throw error;
    }
  }
  const all = new Uint8Array(new ArrayBuffer(chunks.reduce((sum, chunk) => sum + chunk.length, 0)));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
