/** Histograms as Prometheus has them: each bucket with all that is in those below. */
import type { Histogram, HistogramKind, Histograms } from "../views/histograms.ts";

interface Sample {
  labels: Record<string, string>;
  value: number;
  metricName: string;
}

/** How a histogram of the kernel's side (bpf/histograms.h) is shown. */
interface Shown {
  /** The label that tells connections apart. */
  by?: "reason" | "rule";
  /** Undefined: of the first message. */
  kind?: HistogramKind;
  /** The first bucket has values up to 2 to the power of this. */
  power: number;
  /** What a value of 1 is, in the metric's unit. */
  unit: number;
}

const SECONDS = 1e-6;
/** One bucket of so many is shown, to have fewer series. */
const STEP = 2;

const age = { kind: "age", power: 10, unit: SECONDS } as const;
const messages = { kind: "messages", power: 0, unit: 1 } as const;
const bytes = { kind: "bytes", power: 5, unit: 1 } as const;
const messageBytes = { kind: "message_bytes", power: 0, unit: 1 } as const;

const shown: Record<string, Shown> = {
  mda_connection_age_seconds: { by: "reason", ...age },
  mda_connection_messages: { by: "reason", ...messages },
  mda_connection_bytes: { by: "reason", ...bytes },
  mda_connection_message_bytes: { by: "reason", ...messageBytes },
  mda_rule_connection_age_seconds: { by: "rule", ...age },
  mda_rule_connection_messages: { by: "rule", ...messages },
  mda_rule_connection_bytes: { by: "rule", ...bytes },
  mda_rule_connection_message_bytes: { by: "rule", ...messageBytes },
  mda_first_message_seconds: { power: 0, unit: SECONDS },
};

/** The samples of a metric, by what tells connections apart where it has that. */
export function histogramSamples(name: string, { connections, rules, firstMessage }: Histograms): Sample[] {
  const how = shown[name];
  const { by, kind } = how;
  if (by === undefined || kind === undefined) return samplesOf(name, {}, firstMessage, how);
  return Object.entries(by === "rule" ? rules : connections).flatMap(([label, found]) =>
    samplesOf(name, { [by]: label }, found[kind], how)
  );
}

function samplesOf(
  name: string,
  labels: Record<string, string>,
  { sum, buckets }: Histogram,
  { power, unit }: Shown,
): Sample[] {
  const samples: Sample[] = [];
  let count = 0;
  // The last one has no bound.
  buckets.slice(0, -1).forEach((values, bucket) => {
    count += values;
    if (bucket % STEP !== 0) return;
    const le = `${2 ** (power + bucket) * unit}`;
    samples.push({ metricName: `${name}_bucket`, labels: { le, ...labels }, value: count });
  });
  const total = count + buckets[buckets.length - 1];
  samples.push({ metricName: `${name}_bucket`, labels: { le: "+Inf", ...labels }, value: total });
  samples.push({ metricName: `${name}_sum`, labels, value: sum * unit });
  samples.push({ metricName: `${name}_count`, labels, value: total });
  return samples;
}
