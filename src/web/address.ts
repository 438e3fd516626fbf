import { parseMetricsAddress } from "../http/address.ts";

/** Where the page is served. */
export interface WebAddress {
  address: string;
  port: number;
}

/** Reads `127.0.0.1:9465`, `[::1]:9465`, or `:9465` and `9465`, which are loopback; undefined when it is none of these. */
export function parseWebAddress(text: string): WebAddress | undefined {
  const parsed = parseMetricsAddress(/^\d+$/.test(text) ? `:${text}` : text);
  return parsed && { address: parsed.address ?? "127.0.0.1", port: parsed.port };
}

/** Whether only this host reaches an address. Unusual ways to write one count as others. */
export function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}

/** As a browser wants it. */
export function urlOf({ address, port }: WebAddress): string {
  return `http://${address.includes(":") ? `[${address}]` : address}:${port}/`;
}
