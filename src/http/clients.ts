import { setTimeout as sleep } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";

const log = getLogger("mda");

/** What goes on failing is said again after so long, and tried again after so long. */
const QUIET_MS = 60_000;
const AGAIN_MS = 1000;

/**
 * Hands each client to `serve`, until the listener is closed.
 *
 * @param what is served, as it follows "for" when none can be accepted
 */
export async function acceptClients(
  listener: Deno.TcpListener,
  what: string,
  serve: (client: Deno.TcpConn) => void,
): Promise<void> {
  let quietUntil = 0;
  for (;;) {
    try {
      serve(await listener.accept());
    } catch (error) {
      if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
      if (performance.now() > quietUntil) {
        log.warn(`Cannot accept a connection for ${what}: ${(error as Error).message}`);
        quietUntil = performance.now() + QUIET_MS;
      }
      await sleep(AGAIN_MS);
    }
  }
}

/** Writes all of it, however little a client takes at once. */
export async function writeAll(client: Deno.TcpConn, ...parts: Uint8Array<ArrayBuffer>[]): Promise<void> {
  let rest = new Uint8Array(await new Blob(parts).arrayBuffer());
  while (rest.length > 0) rest = rest.subarray(await client.write(rest));
}
