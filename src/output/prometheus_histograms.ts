/** Histograms as Prometheus has them: each bucket with all that is in those below. */
import type { Histogram, HistogramKind, Histograms } from "../views/histograms.ts";

interface Sample {
  labels: Record<string, string>;
  value: number;
  metricName: string;
}

/** How a histogram of the kernel's side (bpf/histograms.h) is shown. */
interface Shown {
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

const shown: Record<string, Shown> = {
  mda_connection_age_seconds: { kind: "age", power: 10, unit: SECONDS },
  mda_connection_messages: { kind: "messages", power: 0, unit: 1 },
  mda_connection_bytes: { kind: "bytes", power: 5, unit: 1 },
  mda_connection_message_bytes: { kind: "message_bytes", power: 0, unit: 1 },
  mda_first_message_seconds: { power: 0, unit: SECONDS },
};

/** The samples of a metric, by the reason for which connections ended where it has reasons. */
export function histogramSamples(name: string, { connections, firstMessage }: Histograms): Sample[] {
  const how = shown[name];
  const { kind } = how;
  if (kind === undefined) return samplesOf(name, {}, firstMessage, how);
  return Object.entries(connections).flatMap(([reason, found]) =>
    samplesOf(name, { reason }, found[kind], how)
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
