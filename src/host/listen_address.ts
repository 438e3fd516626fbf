import { isIP } from "node:net";

/** Where to listen; on all addresses when there is none. */
export interface ListenAddress {
  address: string | undefined;
  port: number;
}

/** Reads `127.0.0.1:9464`, `[::1]:9464` or `:9464`; undefined when it is none of these. Names are not looked up. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const [, ipv6, ipv4, digits] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (!(port >= 1 && port <= 65535)) return undefined;
  if (ipv6 !== undefined) return isIP(ipv6) === 6 ? { address: ipv6, port } : undefined;
  if (ipv4 === "") return { address: undefined, port };
  return isIP(ipv4) === 4 ? { address: ipv4, port } : undefined;
}

/** Reads the same, and `9465`; without an address it is this host only. */
export function parseLocalAddress(text: string): ListenAddress | undefined {
  const parsed = parseListenAddress(/^\d+$/.test(text) ? `:${text}` : text);
  return parsed && { address: parsed.address ?? "127.0.0.1", port: parsed.port };
}

/** Whether only this host reaches an address. Unusual ways to write one count as others. */
export function isLocal({ address }: ListenAddress): boolean {
  return address !== undefined && (address === "::1" || address.startsWith("127."));
}

/** As it is written: what {@link parseListenAddress} reads. */
export function formatListenAddress({ address = "", port }: ListenAddress): string {
  return `${isIP(address) === 6 ? `[${address}]` : address}:${port}`;
}
