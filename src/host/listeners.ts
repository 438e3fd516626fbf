import type { ListenAddress } from "./listen_address.ts";
import { descriptorOfSocket, processName } from "./process.ts";

/**
 * Listens for connections, on all addresses of both families when none is named.
 *
 * @throws Deno.errors.AddrInUse, AddrNotAvailable, and others
 */
export function listenAt({ address, port }: ListenAddress): Deno.TcpListener {
  return Deno.listen({ hostname: address ?? (hasIpv6() ? "::" : "0.0.0.0"), port });
}

/** What is served somewhere, in words, and the option that says where. */
export interface Served {
  what: string;
  option: string;
}

/** What cannot be served where, and why. */
export function explainListening(
  { address, port }: ListenAddress,
  { what, option }: Served,
  error: Error,
): string {
  const shown = address === undefined ? `port ${port}` : `${address} port ${port}`;
  const why = error instanceof Deno.errors.AddrInUse
    ? `it is in use (EADDRINUSE); another one is named with --${option}`
    : error instanceof Deno.errors.AddrNotAvailable
    ? "this host does not have the address (EADDRNOTAVAIL); :PORT is all addresses"
    : error.message;
  return `Cannot serve ${what} on ${shown}: ${why}`;
}

/** Whether somebody could listen there now; undefined when it cannot be told, as for want of rights. */
export function tryToListen(address: ListenAddress): "yes" | "in use" | "no address" | undefined {
  try {
    listenAt(address).close();
    return "yes";
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return "in use";
    return error instanceof Deno.errors.AddrNotAvailable ? "no address" : undefined;
  }
}

/** Who listens at a port of this network namespace, as far as it can be seen. */
export function listenerOf(port: number): { pid: number; name: string } | undefined {
  const inodes = ["tcp", "tcp6"].flatMap((table) => listenersIn(`/proc/net/${table}`, port));
  if (inodes.length === 0) return undefined;
  // This one first: it is the answer when its own configuration is read again.
  const pids = [Deno.pid, ...[...Deno.readDirSync("/proc")].map(({ name }) => Number(name))];
  for (const pid of pids.filter((pid) => pid > 0)) {
    for (const inode of inodes) {
      if (descriptorOfSocket(pid, inode) !== undefined) return { pid, name: processName(pid) ?? "" };
    }
  }
}

const LISTEN = "0A";

function listenersIn(path: string, port: number): bigint[] {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch {
    return [];
  }
  const end = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return text.split("\n").slice(1).map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(end) && state === LISTEN)
    .map((fields) => BigInt(fields[9]));
}

function hasIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}
