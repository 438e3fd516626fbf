import { enums, layouts } from "../generated/layouts.ts";
import { reasons } from "../generated/reasons.ts";
import { monotonicUs } from "../host/libc/mod.ts";
import type { BpfMap } from "../libbpf/map.ts";
import { readStruct } from "../libbpf/struct.ts";
import { decide } from "../rules/decide.ts";
import type { Sent } from "./connections.ts";
import { addressOf, type Endpoint, endpointOf } from "./endpoints.ts";
import { type FilterOptions, ruleOf } from "./filter.ts";

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

interface Because {
  reason: string;
  why: string;
}

/** By the reason's place. */
function becauses(group: "refused" | "left"): Map<number, Because> {
  const all = Object.entries<{ place: number; words: string }>(reasons[group]);
  return new Map(all.map(([name, { place, words }]) => [place, { reason: `${group} ${name}`, why: words }]));
}

const left = becauses("left");
const becauseOf = new Map<number, Map<number, Because>>([
  [TRACE_REFUSED, becauses("refused")],
  [TRACE_LEFT, left],
  [TRACE_HANDED_OVER, left],
]);

const { trace: { fields: TRACE }, traced_end: { fields: END }, endpoint: { fields: ENDPOINT } } = layouts;
const EXECUTABLE_BYTES = layouts.executable.size;

/** Of 64 bits; above 2^53 only near that. */
function numberAt(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

/** Reads the records of the ring buffer `traces`: field by field, since there may be tens of thousands a second. */
export class TraceReader {
  /** When this host's CLOCK_MONOTONIC was 0, in microseconds since 1970. */
  readonly #zero = Math.round((performance.timeOrigin + performance.now()) * 1000) - Number(monotonicUs());
  /** The one of the last record, as text that ends with the point. */
  #second = 0;
  #secondText = "";
  /** By the two halves of the executable's inode, its device and its generation. */
  readonly #names = new Map<string, string>();

  /** @param programs the map of that name */
  constructor(private readonly programs: BpfMap) {}

  read(bytes: Uint8Array<ArrayBuffer>): Trace {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const us = this.#zero + Math.floor(numberAt(view, TRACE.ns.offset) / 1000);
    const kind = view.getUint32(TRACE.kind.offset, true), ageNs = numberAt(view, TRACE.age_ns.offset);
    const because = becauseOf.get(kind)?.get(view.getUint32(TRACE.reason.offset, true));
    const key = view.getBigUint64(TRACE.key.offset, true);
    return {
      time: this.#timeOf(us),
      event: events.get(kind)!,
      reason: because?.reason ?? null,
      why: because?.why ?? null,
      id: String(key >> 1n),
      end: key & 1n ? "server" : "client",
      local: endpointAt(bytes, view, TRACE.local.offset),
      remote: endpointAt(bytes, view, TRACE.remote.offset),
      netns: view.getUint32(TRACE.netns.offset, true),
      age: ageNs === 0 ? null : ageNs / 1e9,
      own: this.#endAt(bytes, view, TRACE.own.offset),
      peer: this.#endAt(bytes, view, TRACE.peer.offset),
    };
  }

  #timeOf(us: number): string {
    const second = Math.floor(us / 1e6);
    if (second !== this.#second) {
      this.#second = second;
      this.#secondText = new Date(second * 1000).toISOString().slice(0, "2000-01-01T00:00:00.".length);
    }
    return `${this.#secondText}${String(us % 1e6).padStart(6, "0")}Z`;
  }

  #endAt(bytes: Uint8Array<ArrayBuffer>, view: DataView, at: number): TracedEnd {
    const number = (field: "messages" | "bytes" | "passed_messages" | "passed_bytes") =>
      numberAt(view, at + END[field].offset);
    return {
      program: this.#nameOf(bytes, view, at + END.executable.offset),
      redirected: { messages: number("messages"), bytes: number("bytes") },
      tcp: { messages: number("passed_messages"), bytes: number("passed_bytes") },
    };
  }

  #nameOf(bytes: Uint8Array<ArrayBuffer>, view: DataView, at: number): string | null {
    const low = view.getUint32(at, true), high = view.getUint32(at + 4, true);
    if (low === 0 && high === 0) return null;
    const key = `${low} ${high} ${view.getUint32(at + 8, true)} ${view.getUint32(at + 12, true)}`;
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    // One that is not known yet may be at the next look.
    const program = this.programs.lookup(bytes.slice(at, at + EXECUTABLE_BYTES));
    if (!program) return null;
    const { name } = readStruct(layouts, "program", program);
    this.#names.set(key, name);
    return name;
  }
}

function endpointAt(bytes: Uint8Array, view: DataView, at: number): Endpoint {
  const { family, port, address } = ENDPOINT;
  return endpointOf({
    family: bytes[at + family.offset],
    port: view.getUint16(at + port.offset, true),
    address: bytes.subarray(at + address.offset, at + address.offset + address.size),
  });
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
