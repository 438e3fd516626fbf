import { Mesh } from "../../lab/mesh.ts";
import type { Cgroup } from "../../lab/cgroup.ts";
import { connectionsOpened, createNetns, type NetworkNamespace } from "../../lab/netns.ts";
import { type Place, tryRun } from "../../lab/program.ts";
import { freePort, startServer } from "../../lab/servers.ts";
import { Load } from "./load.ts";

const nice = 10;
const roundSeconds = 4;
const wrkConnections = 16;

/** What a load has seen. */
export interface Seen {
  /** That were opened by all parts, in all of their namespaces. */
  connections: number;
  /** That were compared with what was sent. */
  bytes: number;
  /** What broke or was wrong; empty when all is well. */
  harm: string[];
}

/**
 * The traffic of {@link Load}, iperf3 and wrk through the mesh, all the time. `await using` ends it.
 */
export class MixedLoad implements AsyncDisposable {
  readonly #harm: string[] = [];
  readonly #rounds: Promise<void>[] = [];
  #stopping = false;

  private constructor(
    readonly load: Load,
    private readonly mesh: Mesh,
    private readonly place: Place,
    private readonly netns: NetworkNamespace,
    private readonly iperf3Port: number,
    private readonly parts: AsyncDisposableStack,
  ) {
    this.#rounds.push(this.#repeat((round) => this.#iperf3(round)), this.#repeat(() => this.#wrk()));
  }

  static async start(cgroup: Cgroup): Promise<MixedLoad> {
    await using parts = new AsyncDisposableStack();
    const netns = parts.use(await createNetns("load"));
    const place = { cgroup, netns, nice };
    const load = parts.use(await Load.start(place));
    const port = freePort();
    parts.use(await startServer(place, port, () => ["iperf3", "-s", "-p", `${port}`]));
    const mesh = parts.use(await Mesh.create({ cgroup, nice }));
    await mesh.startSidecars();
    return new MixedLoad(load, mesh, place, netns, port, parts.move());
  }

  /** The ports of redis, the byte checker and iperf3. */
  get ports(): number[] {
    return [this.load.redis.port, this.load.streams.port, this.iperf3Port];
  }

  /** Throws when something has broken already. */
  check(): void {
    if (this.#harm.length > 0) throw new Error(this.#harm.join("\n"));
    this.load.check();
  }

  /** Ends it, and tells what it has seen. */
  async stop(): Promise<Seen> {
    this.#stopping = true;
    await Promise.all(this.#rounds);
    let bytes = 0;
    try {
      ({ bytes } = await this.load.stop());
    } catch (error) {
      this.#harm.push((error as Error).message);
    }
    const opened = await Promise.all([this.netns, ...this.mesh.pods].map(connectionsOpened));
    return { connections: opened.reduce((sum, count) => sum + count), bytes, harm: this.#harm };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#rounds);
    await this.parts.disposeAsync();
  }

  async #repeat(once: (round: number) => Promise<void>): Promise<void> {
    for (let round = 0; !this.#stopping; round++) {
      try {
        await once(round);
      } catch (error) {
        this.#harm.push((error as Error).message);
        return;
      }
    }
  }

  /** In turn bulk, and messages that are redirected. */
  async #iperf3(round: number): Promise<void> {
    const message = round % 2 === 0 ? [] : ["-l", "2K"];
    const argv = [
      "iperf3",
      "-c",
      "127.0.0.1",
      "-p",
      `${this.iperf3Port}`,
      "-t",
      `${roundSeconds}`,
      "-b",
      "100M",
    ];
    const { code, stdout, stderr } = await tryRun(this.place, [...argv, ...message], { timeoutMs: 30_000 });
    if (code !== 0) throw new Error(`iperf3 ended with ${code}: ${stdout}${stderr}`);
  }

  async #wrk(): Promise<void> {
    const { errors } = await this.mesh.load({ connections: wrkConnections, seconds: roundSeconds });
    if (errors > 0) throw new Error(`wrk through the mesh: ${errors} errors`);
  }
}
