/** What a running mda serves over HTTP. */
import { freePort } from "../../lab/servers.ts";
import { requireTool } from "../../lab/tools.ts";

/** A metric as Prometheus understands it; those without labels have one sample, of the empty text. */
export interface Scraped {
  name: string;
  help: string;
  type: string;
  /** By the labels as JSON with sorted names. */
  samples: Map<string, number>;
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
  type Sample = { value: string; labels?: Record<string, string> };
  const parse: (text: string) => Parsed[] = requireTool("parse-prometheus-text-format");
  return new Map(
    parse(text).map(({ name, help, type, metrics }) => {
      const samples = metrics.map(({ value, labels }) => [labelsKey(labels), Number(value)] as const);
      return [name, { name, help, type: type.toLowerCase(), samples: new Map(samples) }];
    }),
  );
}

export function labelsKey(labels: Record<string, string> = {}): string {
  const names = Object.keys(labels).sort();
  return names.length === 0
    ? ""
    : JSON.stringify(Object.fromEntries(names.map((name) => [name, labels[name]])));
}
