/** What a running mda serves over HTTP. */
import { freePort } from "../../lab/servers.ts";
import { requireTool } from "../../lab/tools.ts";

/** A metric as Prometheus understands it; those without labels have one sample, of the empty text. */
export interface Scraped {
  name: string;
  help: string;
  type: string;
  /** By the labels, as the samples are; empty when it is none. */
  histograms: Map<string, ScrapedHistogram>;
  /** By the labels as JSON with sorted names. */
  samples: Map<string, number>;
}

/** What a series of a histogram has; of its samples the value is the count. */
export interface ScrapedHistogram {
  count: number;
  sum: number;
  /** By their upper bounds, each with all that is in those below. */
  buckets: Record<string, number>;
}

/** An address for --metrics that nobody uses, and its URL. */
export function freeAddress(): { address: string; url: string } {
  const address = `127.0.0.1:${freePort()}`;
  return { address, url: `http://${address}` };
}

/** Reads and parses /metrics. */
export async function scrape(url: string): Promise<Map<string, Scraped>> {
  const response = await fetch(`${url}/metrics`);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${url}/metrics: ${response.status} ${text}`);
  return parseText(text);
}

export function parseText(text: string): Map<string, Scraped> {
  type Parsed = { name: string; help: string; type: string; metrics: Sample[] };
  type Sample = { value?: string; labels?: Record<string, string> };
  const parse: (text: string) => Parsed[] = requireTool("parse-prometheus-text-format");
  return new Map(
    parse(text).map(({ name, help, type, metrics }) => {
      const histograms = type === "HISTOGRAM" ? parseHistograms(text, name) : new Map();
      const samples = type === "HISTOGRAM"
        ? [...histograms].map(([labels, { count }]) => [labels, count] as const)
        : metrics.map(({ value, labels }) => [labelsKey(labels), Number(value)] as const);
      return [name, { name, help, type: type.toLowerCase(), samples: new Map(samples), histograms }];
    }),
  );
}

/** The parser puts all series of a histogram into one. */
function parseHistograms(text: string, name: string): Map<string, ScrapedHistogram> {
  const found = new Map<string, ScrapedHistogram>();
  for (const [, part, words, value] of text.matchAll(/^(\w+?)(?:\{(.*)\})? (\S+)$/gm)) {
    if (![`${name}_bucket`, `${name}_sum`, `${name}_count`].includes(part)) continue;
    const { le, ...labels } = Object.fromEntries(
      [...(words ?? "").matchAll(/(\w+)="([^"]*)"/g)].map(([, label, value]) => [label, value]),
    );
    const key = labelsKey(labels);
    const histogram = found.get(key) ?? { count: 0, sum: 0, buckets: {} };
    found.set(key, histogram);
    if (le !== undefined) histogram.buckets[le] = Number(value);
    else histogram[part.endsWith("_sum") ? "sum" : "count"] = Number(value);
  }
  return found;
}

export function labelsKey(labels: Record<string, string> = {}): string {
  const names = Object.keys(labels).sort();
  return names.length === 0
    ? ""
    : JSON.stringify(Object.fromEntries(names.map((name) => [name, labels[name]])));
}
