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
  const bytes = family === 4 ? address.slice(0, 4) : address;
  return { address: formatAddress({ family: family === 4 ? 4 : 6, bytes }), port };
}

/** An endpoint's address as rules have it. */
export function addressOf({ address }: Endpoint): Address {
  return parseAddress(address)!;
}
