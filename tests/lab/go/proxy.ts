import { compile } from "../compile.ts";
import type { Place } from "../program.ts";
import { type Server, startServer } from "../servers.ts";

/** How it copies: see proxy.go. */
export type Mode = "splice" | "line" | "buffered";

/** Starts the proxy on a port of the loopback, towards another. */
export async function startGoProxy(place: Place, port: number, target: number, mode: Mode): Promise<Server> {
  const built = compile("lab/go/go_proxy");
  return await startServer(place, port, () => [built, `127.0.0.1:${port}`, `127.0.0.1:${target}`, mode]);
}
