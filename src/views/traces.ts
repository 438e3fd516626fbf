import { enums, layouts } from "../generated/layouts.ts";
import { reasons } from "../generated/reasons.ts";
import { monotonicUs } from "../host/libc/mod.ts";
import type { BpfMap } from "../libbpf/map.ts";
import { readStruct, type StructValue, writeStruct } from "../libbpf/struct.ts";
import { decide } from "../rules/decide.ts";
import type { Sent } from "./connections.ts";
import { addressOf, type Endpoint, endpointOf } from "./endpoints.ts";
import { type FilterOptions, ruleOf } from "./filter.ts";

type RawTrace = StructValue<typeof layouts, "trace">;

export interface TracedEnd {
  /** Null when it is not known. */
  program: string | null;
  redirected: Sent;
  tcp: Sent;
}

/** Something that happened to a connection. Names stay, new ones may come. */
export interface Trace {
  /** ISO 8601, in UTC, with microseconds. */
  time: string;
  event: "paired" | "adopted" | "refused" | "left" | "handed over" | "ended";
  /** As status names it: "left bulk". */
  reason: string | null;
  why: string | null;
  /** The connection's, as `mda conns` has it. */
  id: string;
  /** Which end has seen it. */
  end: "client" | "server";
  local: Endpoint;
  remote: Endpoint;
  netns: number;
  /** In seconds since it has entered. */
  age: number | null;
  own: TracedEnd;
  peer: TracedEnd;
}

const { TRACE_REFUSED, TRACE_LEFT, TRACE_HANDED_OVER } = enums.trace_kind;

/** `TRACE_HANDED_OVER` is "handed over". */
const events = new Map(
  Object.entries(enums.trace_kind).map(([name, value]) =>
    [value as number, name.replace("TRACE_", "").toLowerCase().replace("_", " ") as Trace["event"]] as const
  ),
);

function reasonOf({ kind, reason }: RawTrace): { reason: string; why: string } | undefined {
  const group = kind === TRACE_REFUSED
    ? "refused"
    : kind === TRACE_LEFT || kind === TRACE_HANDED_OVER
    ? "left"
    : undefined;
  if (!group) return undefined;
  for (const [name, { place, words }] of Object.entries<{ place: number; words: string }>(reasons[group])) {
    if (place === reason) return { reason: `${group} ${name}`, why: words };
  }
}

/** Reads the records of the ring buffer `traces`. */
export class TraceReader {
  /** When this host's CLOCK_MONOTONIC was 0, in microseconds since 1970. */
  readonly #zero = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) - monotonicUs();
  readonly #names = new Map<string, string | null>();

  /** @param programs the map of that name */
  constructor(private readonly programs: BpfMap) {}

  read(bytes: Uint8Array<ArrayBuffer>): Trace {
    const raw = readStruct(layouts, "trace", bytes);
    const us = this.#zero + raw.ns / 1000n;
    const found = reasonOf(raw);
    return {
      time: new Date(Number(us / 1000n)).toISOString().replace(
        "Z",
        `${String(us % 1000n).padStart(3, "0")}Z`,
      ),
      event: events.get(raw.kind)!,
      reason: found?.reason ?? null,
      why: found?.why ?? null,
      id: String(raw.key >> 1n),
      end: raw.key & 1n ? "server" : "client",
      local: endpointOf(raw.local),
      remote: endpointOf(raw.remote),
      netns: raw.netns,
      age: raw.age_ns === 0n ? null : Number(raw.age_ns) / 1e9,
      own: this.#end(raw.own),
      peer: this.#end(raw.peer),
    };
  }

  #end({ executable, messages, bytes, passed_messages, passed_bytes }: RawTrace["own"]): TracedEnd {
    return {
      program: this.#name(executable),
      redirected: { messages: Number(messages), bytes: Number(bytes) },
      tcp: { messages: Number(passed_messages), bytes: Number(passed_bytes) },
    };
  }

  #name(executable: RawTrace["own"]["executable"]): string | null {
    if (executable.inode === 0n) return null;
    const key = `${executable.device}:${executable.inode}:${executable.generation}`;
    let name = this.#names.get(key);
    if (name === undefined) {
      const bytes = this.programs.lookup(writeStruct(layouts, "executable", executable));
      name = bytes ? readStruct(layouts, "program", bytes).name : null;
      // One that is not known yet may be at the next look.
      if (name !== null) this.#names.set(key, name);
    }
    return name;
  }
}

/** @throws Error that names the option and its value when that is none */
export function makeTraceFilter(
  options: Pick<FilterOptions, "ip" | "port" | "uidOwner" | "gidOwner" | "program">,
): (raw: Trace) => boolean {
  const rule = ruleOf(options);
  const { program = [] } = options;
  return ({ local, remote, own, peer }) => {
    const end = (endpoint: Endpoint) => ({ addresses: [addressOf(endpoint)], ports: [endpoint.port] });
    if (rule && !decide([rule], { client: end(local), server: end(remote) }).rule) return false;
    return program.length === 0 ||
      [own, peer].some(({ program: name }) =>
        name !== null && program.some((begin) => name.startsWith(begin))
      );
  };
}
