import { parseAddress } from "./addresses.ts";
import type { Address } from "./rules.ts";

/** An address, and a port where one is given. */
export interface Endpoint {
  address: Address;
  port?: number;
}

/** Reads `10.0.0.1`, `10.0.0.1:80`, `::1`, `[::1]`, `[::1]:80`; undefined when it is none of them. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const whole = parseAddress(text);
  if (whole) return { address: whole };
  const [, v6, v4, digits] = /^(?:\[([^\]]*:[^\]]*)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const address = parseAddress(v6 ?? v4 ?? "");
  if (!address) return undefined;
  if (digits === undefined) return { address };
  const port = Number(digits);
  return port >= 1 && port <= 65535 ? { address, port } : undefined;
}
