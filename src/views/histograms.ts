import { enums, layouts, maps as mapLayouts } from "../generated/layouts.ts";
import { reasons } from "../generated/reasons.ts";
import type { BpfMap } from "../libbpf/map.ts";
import { nameOf, numberInForce } from "../state/rules.ts";
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

/** Of connections, by kind. */
export type ConnectionHistograms = Record<HistogramKind, Histogram>;

/** What connections were like. */
export interface Histograms {
  /** By what has ended them: `ended`, which is always there, is a FIN or RST; the others are reasons to leave that have held. */
  connections: Record<string, ConnectionHistograms>;
  /** By the place in the configuration, from 1 on, of the rule that has let them in: of those in force that have let in any. */
  rules: Record<number, ConnectionHistograms>;
  /** Microseconds from the handshake to the first redirected message. */
  firstMessage: Histogram;
}

/** A connection that neither has left. */
const ENDED = "ended";

/** Of one CPU each; takes some ms. */
const VALUES_A_STEP = 400;
const RULES_A_STEP = VALUES_A_STEP / KINDS;

const names = Object.entries(kinds).map(([name, kind]) => ({
  kind: kind as number,
  word: name.replace("HISTOGRAM_", "").toLowerCase() as HistogramKind,
}));
const ways = [
  { way: ENDED, place: enums.leave.STAY as number },
  ...Object.entries(reasons.left).map(([way, { place }]) => ({ way, place: place as number })),
];

/** The maps that histograms are in, or belong to; undefined where nothing is pinned. */
export interface HistogramMaps {
  histograms: BpfMap | undefined;
  rule_histograms: BpfMap | undefined;
  control: BpfMap | undefined;
  rule_sets: BpfMap | undefined;
}

/**
 * Reads them in steps, between which other things may be done.
 *
 * @param maps without, all is zero
 * @param decided connections that each rule has decided
 */
export function* readHistograms(maps: HistogramMaps, decided: number[]): Generator<void, Histograms> {
  const connections = yield* readByReason(maps.histograms);
  const rules = yield* readByRule(maps, decided);
  const firstMessage = readHistogram(maps.histograms, mapLayouts.histograms.maxEntries - 1);
  return { connections, rules, firstMessage };
}

function* readByReason(map: BpfMap | undefined): Generator<void, Histograms["connections"]> {
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
    const all = Object.fromEntries(found) as ConnectionHistograms;
    if (way === ENDED || hasAny(all)) connections[way] = all;
  }
  return connections;
}

function hasAny(histograms: ConnectionHistograms): boolean {
  return Object.values(histograms).some(({ buckets }) => buckets.some((count) => count > 0));
}

/** Connections that were adopted are among them, and not among those that rules have decided. */
function* readByRule(
  { rule_histograms, control, rule_sets }: HistogramMaps,
  decided: number[],
): Generator<void, Histograms["rules"]> {
  const rules: Histograms["rules"] = {};
  if (!rule_histograms || !control || !rule_sets) return rules;
  const maps = { control, rule_sets };
  const number = numberInForce({ map: (name) => maps[name] });
  for (const [rule, times] of decided.entries()) {
    if (rule % RULES_A_STEP === 0) yield;
    const bytes = rule_histograms.lookup(u32(nameOf(number, rule)));
    if (!bytes) continue; // it lets nothing in
    const { kinds } = readStruct(layouts, "connection_histograms", bytes);
    const all = Object.fromEntries(
      names.map(({ word, kind }) => [word, total([kinds[kind]])]),
    ) as ConnectionHistograms;
    if (times > 0 || hasAny(all)) rules[rule + 1] = all;
  }
  return rules;
}

function readHistogram(map: BpfMap | undefined, place: number): Histogram {
  const cpus = map?.lookupPerCpu(u32(place)) ?? [];
  return total(cpus.map((bytes) => readStruct(layouts, "histogram", bytes)));
}

function total(parts: { sum: bigint; buckets: bigint[] }[]): Histogram {
  const { length } = layouts.histogram.fields.buckets;
  const all: Histogram = { sum: 0, buckets: Array.from({ length }, () => 0) };
  for (const { sum, buckets } of parts) {
    all.sum += Number(sum);
    buckets.forEach((count, bucket) => all.buckets[bucket] += Number(count));
  }
  return all;
}
