import { formatAddress, parseAddress } from "../rules/addresses.ts";
import type { Address } from "../rules/rules.ts";

/** An address and a port, as people write them. */
export interface Endpoint {
  address: string;
  port: number;
}

/** @param end struct endpoint */
export function endpointOf(
  { family, address, port }: { family: number; port: number; address: Uint8Array },
): Endpoint {
  // Most are, and a list has four of a connection.
  if (family === 4) return { address: `${address[0]}.${address[1]}.${address[2]}.${address[3]}`, port };
  return { address: formatAddress({ family: 6, bytes: address }), port };
}

/** An endpoint's address as rules have it. */
export function addressOf({ address }: Endpoint): Address {
  return parseAddress(address)!;
}
