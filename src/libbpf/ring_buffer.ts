import * as libc from "../host/libc/mod.ts";
import { callForNumber, callForPointer } from "./errors.ts";
import { libbpf } from "./library.ts";
import { BpfMap } from "./map.ts";

/** Ends what libbpf does in a ring buffer; the record counts as read. */
const ENOUGH = -1;

const handle = { parameters: ["pointer", "pointer", "usize"], result: "i32" } as const;

/** For records, in bytes: larger ones make it larger. */
const FIRST_ROOM = 1024;

/** BPF_MAP_TYPE_RINGBUF of linux/bpf.h. */
const RINGBUF = 27;

/**
 * Makes a map that a {@link RingBuffer} can read.
 *
 * @param name at most 15 characters count
 * @param bytes a power of two, of whole pages
 */
export function createRing(name: string, bytes: number): BpfMap {
  return new BpfMap(
    callForNumber(`create the ring buffer ${name}`, (s) => {
      return s.bpf_map_create(RINGBUF, libc.cString(name), 0, 0, bytes, null);
    }),
  );
}

/** What BPF programs write into a ring buffer, as soon as they do. Needs Linux 5.8. */
export class RingBuffer implements Disposable {
  readonly #callback: Deno.UnsafeCallback<typeof handle>;
  readonly #pointer: Deno.PointerObject;
  readonly #wakeFd: number;

  /**
   * @param onRecord is called with each record, in order, while {@link next} or {@link take} runs; a true value ends the latter. The
   *   bytes are those of the next record when it returns: to make an array for each takes longer than most take to be read.
   */
  constructor(map: BpfMap, onRecord: (bytes: Uint8Array<ArrayBuffer>) => boolean | void) {
    let room = new Uint8Array(FIRST_ROOM);
    this.#callback = new Deno.UnsafeCallback(handle, (_context, data, size) => {
      const bytes = Number(size);
      if (bytes > room.length) room = new Uint8Array(bytes);
      const record = room.subarray(0, bytes);
      Deno.UnsafePointerView.copyInto(data!, record);
      return onRecord(record) ? ENOUGH : 0;
    });
    this.#pointer = callForPointer(
      `read ring buffer ${map.info.name}`,
      (s) => s.ring_buffer__new(map.fd, this.#callback.pointer, null, null),
    );
    this.#wakeFd = libc.eventDescriptor();
  }

  /**
   * Waits, in a thread of its own, until there are records, and hands them on.
   *
   * @returns false when {@link wake} has ended the wait
   */
  async next(): Promise<boolean> {
    const fds = [libbpf().ring_buffer__epoll_fd(this.#pointer), this.#wakeFd];
    const [records, ended] = await libc.waitForInput(fds);
    if (records) callForNumber("read a ring buffer", (s) => s.ring_buffer__consume(this.#pointer));
    return !ended;
  }

  /** Hands on what is there, without waiting: for programs that wake nobody. */
  take(): void {
    libbpf().ring_buffer__consume(this.#pointer);
  }

  /** Ends the wait that is under way, and all later ones. */
  wake(): void {
    libc.write(this.#wakeFd, new Uint8Array(new BigUint64Array([1n]).buffer));
  }

  /** Only after the last {@link next} has ended. */
  [Symbol.dispose](): void {
    libbpf().ring_buffer__free(this.#pointer);
    this.#callback.close();
    libc.close(this.#wakeFd);
  }
}
