import type { MetricsAddress } from "./address.ts";

/**
 * Listens at an address, or at all of this host's.
 *
 * @param what is served there, and the option that says where
 * @throws Error when nobody can listen there, such as when the port is in use
 */
export function listen(
  { address, port }: MetricsAddress,
  { what, option }: { what: string; option: string },
): Deno.TcpListener {
  const bind = (hostname: string) => {
    try {
      return Deno.listen({ hostname, port });
    } catch (error) {
      const shown = address === undefined ? `port ${port}` : `${hostname} port ${port}`;
      const why = error instanceof Deno.errors.AddrInUse
        ? `it is in use (EADDRINUSE); another one is named with ${option}`
        : error instanceof Deno.errors.AddrNotAvailable
        ? "this host does not have the address (EADDRNOTAVAIL); :PORT is all addresses"
        : (error as Error).message;
      throw new Error(`Cannot serve ${what} on ${shown}: ${why}`);
    }
  };
  if (address !== undefined) return bind(address);
  // Of both families, where there is IPv6.
  return bind(hasIpv6() ? "::" : "0.0.0.0");
}

function hasIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}
