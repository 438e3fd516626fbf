import { layouts, maps as mapLayouts } from "../generated/layouts.ts";
import { monotonicUs, waitForKernelReaders } from "../host/libc/mod.ts";
import { identifyProcess } from "../host/process.ts";
import { BpfError } from "../libbpf/errors.ts";
import { BPF_ANY, BPF_NOEXIST, type BpfMap } from "../libbpf/map.ts";
import { readStruct, readU32, type StructInput, u32, u64, writeStruct } from "../libbpf/struct.ts";
import { compile } from "../rules/compile.ts";
import type { Rule } from "../rules/rules.ts";
import { clearSlot, type RuleMaps } from "./rules.ts";

/** How long a request holds after its process has last said that it is there. */
const LEASE_US = 3_000_000n;
export const RENEW_MS = 1000;

export const FILTERS_MAX = mapLayouts.pass_requests.maxEntries;
const FIRST_SLOT = mapLayouts.rule_sets.maxEntries - FILTERS_MAX;

/** The maps that a request goes into, by their names in the BPF object. */
export interface PassMaps extends RuleMaps {
  map(name: Parameters<RuleMaps["map"]>[0] | "pass_requests" | "passing_until"): BpfMap;
}

/** What an operator has asked for, while the process that did is there. */
export interface PassRequest {
  /** The filter, as it was given. */
  words: string;
  pid: number;
  /** In ms since 1970; null: as long as that process runs. */
  endsMs: number | null;
}

/** Those that hold now. */
export function readPassRequests(requests: BpfMap): PassRequest[] {
  const now = monotonicUs() * 1000n;
  return [...requests.keys()].flatMap((key) => {
    const bytes = requests.lookup(key);
    if (!bytes) return [];
    const { lease_ns, ends_ms, pid, words } = readStruct(layouts, "pass_request", bytes);
    return lease_ns > now ? [{ words, pid, endsMs: ends_ms === 0n ? null : Number(ends_ms) }] : [];
  });
}

/** Connections that match a rule are on TCP while this is there; `renew` is to be called every RENEW_MS. */
export class PassLease implements Disposable {
  readonly #maps: PassMaps;
  readonly #filter: number;
  readonly #request: StructInput<typeof layouts, "pass_request">;

  /**
   * @param rule what matches it, at either end, passes
   * @throws Error when as many as can be hold already
   */
  constructor(maps: PassMaps, rule: Rule, request: PassRequest) {
    this.#maps = maps;
    const words = new TextEncoder().encode(request.words).length < layouts.pass_request.fields.words.size
      ? request.words
      : `${request.words.slice(0, layouts.pass_request.fields.words.size / 4)}…`;
    this.#request = { ends_ms: BigInt(request.endsMs ?? 0), pid: request.pid, words };
    this.#filter = this.#claim();
    const slot = FIRST_SLOT + this.#filter;
    // A CPU may be in the middle of a decision by what the filter was before.
    waitForKernelReaders();
    clearSlot(maps, slot);
    for (const [name, { keys, values }] of Object.entries(compile([{ ...rule, jump: "RETURN" }], slot))) {
      maps.map(name as keyof ReturnType<typeof compile>).updateAll(keys, values);
    }
    this.renew();
  }

  /** The number of a filter that nobody has, which is this process's from now on. */
  #claim(): number {
    const requests = this.#maps.map("pass_requests");
    this.#forgetDead(requests);
    for (let filter = 0; filter < FILTERS_MAX; filter++) {
      try {
        // Without a lease it does nothing yet.
        requests.update(u32(filter), writeStruct(layouts, "pass_request", this.#request), BPF_NOEXIST);
        return filter;
      } catch (error) {
        if (!(error instanceof BpfError && error.code === "EEXIST")) throw error;
      }
    }
    throw new Error(
      `Cannot pass: ${FILTERS_MAX} of these hold already, which is as many as can; mda status names them`,
    );
  }

  #forgetDead(requests: BpfMap): void {
    const now = monotonicUs() * 1000n;
    for (const key of [...requests.keys()]) {
      const bytes = requests.lookup(key);
      if (!bytes) continue;
      const { lease_ns, pid } = readStruct(layouts, "pass_request", bytes);
      if (lease_ns < now && !identifyProcess(pid)) requests.delete(u32(readU32(key)));
    }
  }

  /** Says that this process is there. */
  renew(): void {
    const lease_ns = (monotonicUs() + LEASE_US) * 1000n;
    const request = writeStruct(layouts, "pass_request", { ...this.#request, lease_ns });
    this.#maps.map("pass_requests").update(u32(this.#filter), request, BPF_ANY);
    // Of several processes each says its own, which ends before the next does at the earliest.
    this.#maps.map("passing_until").update(u32(0), u64(lease_ns));
  }

  [Symbol.dispose](): void {
    const requests = this.#maps.map("pass_requests");
    requests.delete(u32(this.#filter));
    const leases = [...requests.keys()].map((key) => requests.lookup(key))
      .map((bytes) => bytes ? readStruct(layouts, "pass_request", bytes).lease_ns : 0n);
    const last = leases.reduce((one, other) => other > one ? other : one, 0n);
    this.#maps.map("passing_until").update(u32(0), u64(last));
  }
}
