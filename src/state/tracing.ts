import { layouts } from "../generated/layouts.ts";
import { describeHolder } from "../host/lock.ts";
import { monotonicUs } from "../host/libc/mod.ts";
import { identifyProcess } from "../host/process.ts";
import type { BpfMap } from "../libbpf/map.ts";
import { readStruct, u32, writeStruct } from "../libbpf/struct.ts";

/** How long the kernel side goes on to write after the last word of who listens. */
const LEASE_US = 2_000_000n;
export const RENEW_MS = 500;

/** The right to listen to what happens to connections, or to what they send, which one process has at a time. */
export class Lease implements Disposable {
  #lostBefore: bigint;

  /**
   * @param map the one that is called as the struct in it
   * @param task as it follows "Cannot"
   * @throws Error when another process listens
   */
  constructor(private readonly map: BpfMap, private readonly struct: "tracing" | "dumping", task: string) {
    const { until_ns, pid, lost } = this.#read();
    if (until_ns > monotonicUs() * 1000n && pid !== Deno.pid && identifyProcess(pid)) {
      throw new Error(
        `Cannot ${task}: ${describeHolder(pid)} does already, and only one process can at a time`,
      );
    }
    this.#lostBefore = lost;
    this.renew();
  }

  /** To be called every RENEW_MS. */
  renew(): void {
    this.#write((monotonicUs() + LEASE_US) * 1000n);
  }

  /** How many records there was no room for since the last call. */
  lost(): number {
    const { lost } = this.#read();
    const since = lost - this.#lostBefore;
    this.#lostBefore = lost;
    return Number(since);
  }

  #read() {
    return readStruct(layouts, this.struct, this.map.lookup(u32(0))!);
  }

  #write(until_ns: bigint): void {
    this.map.update(
      u32(0),
      writeStruct(layouts, this.struct, { until_ns, pid: Deno.pid }, this.map.lookup(u32(0))!),
    );
  }

  [Symbol.dispose](): void {
    this.#write(0n);
  }
}
