import { fileURLToPath } from "node:url";
import { type Place, start } from "../tests/lab/program.ts";

/** Processes that hold them: a process often may have no more than 20,000 files open. */
const holders = 2;
const openMs = 30_000;
const program = fileURLToPath(new URL("hold_connections.ts", import.meta.url));

/** Opens idle connections: see hold_connections.ts. Disposing of the result closes them. */
export async function holdConnections(place: Place, count: number): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  for (let i = 0; i < holders; i++) {
    const argv = [Deno.execPath(), "run", "--quiet", "--allow-all", program, `${count / holders}`];
    await stack.use(start(place, argv)).says(/open/, openMs);
  }
  return stack.move();
}
