import { enums, layouts, maps } from "../generated/layouts.ts";
import { reasons } from "../generated/reasons.ts";
import type { BpfMap } from "../libbpf/map.ts";
import { possibleCpus } from "../libbpf/per_cpu.ts";
import { readStruct, u32 } from "../libbpf/struct.ts";

const { HISTOGRAM_KINDS: KINDS, ...kinds } = enums.histogram_kind;

/** `HISTOGRAM_MESSAGE_BYTES` is "message_bytes". */
type KindName<Name> = Name extends `HISTOGRAM_${infer Word}` ? Lowercase<Word> : never;

/** What is counted of a connection when it ends or leaves. */
export type HistogramKind = KindName<keyof typeof kinds>;

/** How many of the values were how large. */
export interface Histogram {
  sum: number;
  /** The first has all values up to the first bound (bpf/histograms.h), each other one values up to twice as large; the last one all others. */
  buckets: number[];
}

/** What connections were like. */
export interface Histograms {
  /** By what has ended them: `ended`, which is always there, is a FIN or RST; the others are reasons to leave that have held. */
  connections: Record<string, Record<HistogramKind, Histogram>>;
  /** Microseconds from the handshake to the first redirected message. */
  firstMessage: Histogram;
}

/** A connection that neither has left. */
const ENDED = "ended";

/** Of one CPU each; takes some ms. */
const VALUES_A_STEP = 400;

const names = Object.entries(kinds).map(([name, kind]) => ({
  kind: kind as number,
  word: name.replace("HISTOGRAM_", "").toLowerCase() as HistogramKind,
}));
const ways = [
  { way: ENDED, place: enums.leave.STAY as number },
  ...Object.entries(reasons.left).map(([way, { place }]) => ({ way, place: place as number })),
];

/**
 * Reads them in steps, between which other things may be done.
 *
 * @param map that of this name; all zero without
 */
export function* readHistograms(map: BpfMap | undefined): Generator<void, Histograms> {
  const connections: Histograms["connections"] = {};
  const valuesOfWay = names.length * (map ? possibleCpus() : 0);
  let values = 0;
  for (const { way, place } of ways) {
    values += valuesOfWay;
    if (values > VALUES_A_STEP) {
      values = 0;
      yield;
    }
    const found = names.map(({ word, kind }) => [word, readHistogram(map, place * KINDS + kind)] as const);
    if (way === ENDED || found.some(([, { buckets }]) => buckets.some((count) => count > 0))) {
      connections[way] = Object.fromEntries(found) as Record<HistogramKind, Histogram>;
    }
  }
  return { connections, firstMessage: readHistogram(map, maps.histograms.maxEntries - 1) };
}

function readHistogram(map: BpfMap | undefined, place: number): Histogram {
  const { length } = layouts.histogram.fields.buckets;
  const total: Histogram = { sum: 0, buckets: Array.from({ length }, () => 0) };
  for (const bytes of map?.lookupPerCpu(u32(place)) ?? []) {
    const { sum, buckets } = readStruct(layouts, "histogram", bytes);
    total.sum += Number(sum);
    buckets.forEach((count, bucket) => total.buckets[bucket] += Number(count));
  }
  return total;
}
