import { describeHolder } from "../host/lock.ts";
import { monotonicUs } from "../host/libc/mod.ts";
import { identifyProcess } from "../host/process.ts";
import type { BpfMap } from "../libbpf/map.ts";
import { createRing } from "../libbpf/ring_buffer.ts";
import { u32 } from "../libbpf/struct.ts";
import { openPinnedMap } from "./pins.ts";
import { changeSingle, readSingle } from "./single.ts";

/** How long the data plane goes on to write after the last word of who listens. */
const LEASE_US = 2_000_000n;
export const RENEW_MS = 500;

/** What one can listen to: the map of its lease, the one of its ring buffer, and how large that is to be. */
const subjects = {
  connections: { leases: "tracing", rings: "traces", bytes: 1 << 20 },
  messages: { leases: "dumping", rings: "dumps", bytes: 1 << 22 },
} as const;

export type Subject = keyof typeof subjects;

/**
 * The right to listen to what happens to connections, or to what they send, which one process has at a time, and the ring
 * buffer into which that is written meanwhile.
 */
export class Lease implements Disposable {
  readonly ring: BpfMap;
  readonly #leases: BpfMap;
  readonly #rings: BpfMap;
  #lostBefore: bigint;
  #hasEnded = false;
  readonly #parts: DisposableStack;

  /**
   * @param task as it follows "Cannot"
   * @throws Error when another process listens, BpfError when the ring buffer cannot be made
   */
  constructor(pinDir: string, subject: Subject, task: string) {
    const { leases, rings, bytes } = subjects[subject];
    using parts = new DisposableStack();
    this.#leases = parts.use(openPinnedMap(pinDir, leases)!);
    this.#rings = parts.use(openPinnedMap(pinDir, rings)!);
    const { until_ns, pid, lost } = readSingle(this.#leases, "lease");
    if (lasts(until_ns) && pid !== Deno.pid && identifyProcess(pid)) {
      throw new Error(
        `Cannot ${task}: ${describeHolder(pid)} does already, and only one process can at a time`,
      );
    }
    this.#lostBefore = lost;
    this.ring = parts.use(createRing(rings, bytes));
    this.renew();
    this.#parts = parts.move();
  }

  /**
   * To be called every RENEW_MS.
   *
   * @returns false when that was too late: since the lease had ended nothing was written, nor counted as lost
   */
  renew(): boolean {
    const holds = lasts(readSingle(this.#leases, "lease").until_ns);
    writeLease(this.#leases, (monotonicUs() + LEASE_US) * 1000n);
    // Who clears away what killed processes have left may have seen the old lease, and the new ring.
    if (ringId(this.#rings) !== this.ring.info.id) this.#rings.update(u32(0), u32(this.ring.fd));
    return holds;
  }

  /** How many records there was no room for since the last call. */
  lost(): number {
    const { lost } = readSingle(this.#leases, "lease");
    const since = lost - this.#lostBefore;
    this.#lostBefore = lost;
    return Number(since);
  }

  /** From then on nothing is written; what was can still be read. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    writeLease(this.#leases, 0n);
    if (ringId(this.#rings) === this.ring.info.id) this.#rings.delete(u32(0));
  }

  [Symbol.dispose](): void {
    this.end();
    this.#parts.dispose();
  }
}

/** Frees the ring buffers of processes that were killed while they listened. */
export function freeUnusedRings(map: (name: "tracing" | "traces" | "dumping" | "dumps") => BpfMap): void {
  for (const { leases, rings } of Object.values(subjects)) {
    if (ringId(map(rings)) && !lasts(readSingle(map(leases), "lease").until_ns)) map(rings).delete(u32(0));
  }
}

function lasts(untilNs: bigint): boolean {
  return untilNs > monotonicUs() * 1000n;
}

function writeLease(leases: BpfMap, until_ns: bigint): void {
  changeSingle(leases, "lease", { until_ns, pid: Deno.pid });
}

/** The number of the ring buffer that is written into; undefined when there is none. */
function ringId(rings: BpfMap): number | undefined {
  const id = rings.lookup(u32(0));
  return id && new Uint32Array(id.buffer)[0];
}
