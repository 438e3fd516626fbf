import { fileURLToPath } from "node:url";
import { type Place, run } from "../program.ts";
import { type Server, startServer } from "../servers.ts";
import { modifiedMs } from "../streams/programs.ts";

const source = fileURLToPath(new URL("proxy.go", import.meta.url));
const built = fileURLToPath(new URL("../../../build/tests/go_proxy", import.meta.url));

/** How it copies: see proxy.go. */
export type Mode = "splice" | "line" | "buffered";

/** Starts the proxy on a port of the loopback, towards another. */
export async function startGoProxy(place: Place, port: number, target: number, mode: Mode): Promise<Server> {
  await build();
  return await startServer(place, port, () => [built, `127.0.0.1:${port}`, `127.0.0.1:${target}`, mode]);
}

/** Builds it when its source is newer. */
async function build(): Promise<void> {
  if (modifiedMs(built) > modifiedMs(source)) return;
  const directory = await Deno.makeTempDir({ prefix: "mda-test-" });
  try {
    const part = `${built}.${Deno.pid}`;
    const env = { GO111MODULE: "off", GOCACHE: `${directory}/cache`, GOPATH: directory };
    await run({}, ["go", "build", "-o", part, source], { env, timeoutMs: 120_000 });
    await Deno.rename(part, built);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
