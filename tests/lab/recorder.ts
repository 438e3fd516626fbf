import { fileURLToPath } from "node:url";
import type { Place } from "./program.ts";
import { type Server, startServer } from "./servers.ts";

const source = fileURLToPath(new URL("recorder.py", import.meta.url));

/** Stands between clients and a server, neither of which blocks for it, and knows what each has sent. */
export class Recorder implements AsyncDisposable {
  private constructor(readonly server: Server) {}

  /** @param port where it listens, on 127.0.0.1; `to` is the server */
  static async start(place: Place, port: number, to: { host: string; port: number }): Promise<Recorder> {
    const argv = ["python3", source, String(port), to.host, String(to.port)];
    return new Recorder(await startServer(place, port, (directory) => [...argv, directory]));
  }

  /** What each connection was, in their order. */
  connections(): { client: Uint8Array; server: Uint8Array }[] {
    const { directory } = this.server;
    const count = [...Deno.readDirSync(directory)].filter(({ name }) => name.endsWith(".client")).length;
    return Array.from({ length: count }, (_, i) => ({
      client: Deno.readFileSync(`${directory}/${i + 1}.client`),
      server: Deno.readFileSync(`${directory}/${i + 1}.server`),
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }
}
