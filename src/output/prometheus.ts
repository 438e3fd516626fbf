import manifest from "../../deno.json" with { type: "json" };
import type { Snapshot } from "../views/status.ts";
import { histogramSamples } from "./prometheus_histograms.ts";

/** What a running mda knows of itself beside its status. */
export interface Reloads {
  succeeded: number;
  failed: number;
  /** When the rules in force were read, in ms since 1970; undefined before the first are. */
  lastSuccessMs: number | undefined;
  lastFailed: boolean;
}

interface Sample {
  labels?: Record<string, string>;
  value: number;
  /** Where it is not that of the metric. */
  metricName?: string;
}

interface Metric {
  type: "counter" | "gauge" | "histogram";
  name: string;
  help: string;
  samples(snapshot: Snapshot, reloads: Reloads): Sample[];
}

/** Every metric; docs/metrics.md explains them. */
const metrics: Metric[] = [
  gauge("mda_build_info", "Version of mda.", () => ({ labels: { version: manifest.version }, value: 1 })),
  gauge("mda_up", "Whether connections are accelerated.", ({ enabled }) => Number(enabled)),
  gauge(
    "mda_instance_info",
    "What is accelerated, and how programs are looked at.",
    ({ cgroup, programs: { hooks, unknown } }) => ({ labels: { cgroup, hooks, unknown }, value: 1 }),
  ),
  gauge("mda_rules", "Rules in force.", ({ rules }) => rules),
  counter(
    "mda_rule_decisions_total",
    "Connections that a rule decided, by its place in the configuration.",
    ({ decided }) => decided.map((value, rule) => ({ labels: { rule: `${rule + 1}` }, value })),
  ),
  counter(
    "mda_reloads_total",
    "Times the configuration was read again.",
    (_status, { succeeded, failed }) => [
      { labels: { result: "success" }, value: succeeded },
      { labels: { result: "failure" }, value: failed },
    ],
  ),
  gauge(
    "mda_last_reload_successful",
    "Whether the configuration was in order when it was last read.",
    (_status, { lastFailed }) => Number(!lastFailed),
  ),
  gauge(
    "mda_last_reload_success_timestamp_seconds",
    "When the rules in force were read.",
    (_status, { lastSuccessMs }) => lastSuccessMs === undefined ? [] : lastSuccessMs / 1000,
  ),
  counter(
    "mda_connections_paired_total",
    "Connections accelerated from their handshake on.",
    ({ connections }) => connections.paired,
  ),
  counter(
    "mda_connections_adopted_total",
    "Connections accelerated that were open before.",
    ({ connections }) => connections.adopted,
  ),
  gauge(
    "mda_connections_active",
    "Connections with both ends in the sockhash.",
    ({ connections }) => connections.active,
  ),
  gauge(
    "mda_connections_max",
    "Connections that the sockhash has room for.",
    ({ connections }) => connections.max,
  ),
  counter(
    "mda_redirected_messages_total",
    "Messages moved to their reader past TCP.",
    ({ redirected }) => redirected.messages,
  ),
  counter(
    "mda_redirected_bytes_total",
    "Bytes moved to their reader past TCP.",
    ({ redirected }) => redirected.bytes,
  ),
  counter(
    "mda_passed_messages_total",
    "Messages of sockets in the sockhash that went to TCP.",
    ({ passed }) => byReason(passed),
  ),
  counter(
    "mda_refused_connections_total",
    "Connections left to TCP from the start.",
    ({ refused, refused_errors }) => [...byReason(refused), ...byReason(refused_errors, "error ")],
  ),
  counter(
    "mda_left_sockets_total",
    "Sockets that went back to TCP before they closed.",
    ({ left }) => byReason(left),
  ),
  gauge(
    "mda_programs",
    "Programs by how they use their sockets.",
    (_status, _reloads, habits) =>
      Object.entries(habits).map(([habit, value]) => ({ labels: { habit }, value })),
  ),
  histogram(
    "mda_connection_age_seconds",
    "How long connections were accelerated that are no more, by what has ended that.",
  ),
  histogram("mda_connection_messages", "Messages that each of these connections had redirected, both ways."),
  histogram("mda_connection_bytes", "Bytes that each of these connections had redirected, both ways."),
  histogram(
    "mda_connection_message_bytes",
    "The mean size of each of these connections' redirected messages.",
  ),
  histogram(
    "mda_rule_connection_age_seconds",
    "How long connections were accelerated that are no more, by the rule that had let them in.",
  ),
  histogram(
    "mda_rule_connection_messages",
    "Messages that each of the rule's connections had redirected, both ways.",
  ),
  histogram(
    "mda_rule_connection_bytes",
    "Bytes that each of the rule's connections had redirected, both ways.",
  ),
  histogram(
    "mda_rule_connection_message_bytes",
    "The mean size of each of the rule's connections' redirected messages.",
  ),
  histogram("mda_first_message_seconds", "Time from the handshake to the first redirected message."),
];

type Values = Sample[] | Sample | number;
type Read = (status: Snapshot["status"], reloads: Reloads, habits: Snapshot["habits"]) => Values;

function counter(name: string, help: string, values: Read): Metric {
  return { ...gauge(name, help, values), type: "counter" };
}

function gauge(name: string, help: string, values: Read): Metric {
  const samples = ({ status, habits }: Snapshot, reloads: Reloads) => {
    const found = values(status, reloads, habits);
    if (typeof found === "number") return [{ value: found }];
    return Array.isArray(found) ? found : [found];
  };
  return { type: "gauge", name, help, samples };
}

function histogram(name: string, help: string): Metric {
  return { type: "histogram", name, help, samples: ({ histograms }) => histogramSamples(name, histograms) };
}

function byReason(counts: Record<string, number>, before = ""): Sample[] {
  return Object.entries(counts).map(([reason, value]) => ({ labels: { reason: before + reason }, value }));
}

/** The text of a scrape, and the Content-Type that says its format. */
export interface Exposition {
  contentType: string;
  text(snapshot: Snapshot, reloads: Reloads): Promise<string>;
}

/** Loads what writes the text: nobody else waits for that. */
export async function createExposition(): Promise<Exposition> {
  const { Registry, Counter, Gauge } = await loadClient();
  const registry = new Registry();
  const kinds = { counter: Counter, gauge: Gauge };
  return {
    contentType: registry.contentType,
    async text(snapshot, reloads) {
      registry.clear();
      for (const { type, name, help, samples } of metrics) {
        const found = samples(snapshot, reloads);
        if (type === "histogram") {
          // prom-client's own puts values into buckets one by one; these are in buckets already.
          const get = () => Promise.resolve({ type, name, help, values: found });
          registry.registerMetric({ name, get } as unknown as RegisteredMetric);
          continue;
        }
        const labelNames = Object.keys(found[0]?.labels ?? {});
        const metric = new kinds[type]({ name, help, labelNames, registers: [registry] });
        for (const { labels = {}, value } of found) metric.inc(labels, value);
      }
      return await registry.metrics();
    },
  };
}

type RegisteredMetric = Parameters<InstanceType<typeof import("prom-client").Registry>["registerMetric"]>[0];

/** The parts of prom-client that are needed: all of it would load node:http, node:cluster and OpenTelemetry (100 ms). */
async function loadClient() {
  type Client = typeof import("prom-client");
  const [registry, counter, gauge] = await Promise.all([
    import("prom-client/lib/registry.js"),
    import("prom-client/lib/counter.js"),
    import("prom-client/lib/gauge.js"),
  ]);
  return {
    Registry: registry.default as Client["Registry"],
    Counter: counter.default as Client["Counter"],
    Gauge: gauge.default as Client["Gauge"],
  };
}
