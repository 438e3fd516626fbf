/** The two ends of connections, a process each: see ends.c. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { type Place, type Program, start } from "../../lab/program.ts";
import { startServer } from "../../lab/servers.ts";
import { compile } from "../../lab/streams/programs.ts";
import { waitFor } from "../../lab/wait.ts";
import { type Host, patienceMs } from "./compared.ts";

const recordBytes = 256;
const endedBytes = 104;

/** One direction of a connection: what its sender was about to have sent, and has; what was received. */
export interface Direction {
  intended: number;
  sent: number;
  received: number;
}

/** What both ends of a connection have noted. */
export interface Noted {
  toServer: Direction;
  toClient: Direction;
  /** How the stream ended for each, empty until then. */
  client: string;
  server: string;
}

/** A process that has ends of connections, and is told what to do with them. `await using` ends it. */
export class End implements AsyncDisposable {
  #done = 0;

  private constructor(readonly program: Program) {}

  /** Starts an executable, ends.c or a copy of it, and waits until its connections are open or it listens. */
  static async start(place: Place, argv: (string | number)[], executable = compile("ends")): Promise<End> {
    const end = new End(start(place, [executable, ...argv.map(String)], { listens: true }));
    await end.#finished();
    return end;
  }

  /** One that only listens to signals. */
  static silent(program: Program): End {
    return new End(program);
  }

  get pid(): number {
    return this.program.pid;
  }

  /** Does it, and has done it when this returns. */
  async tell(...lines: string[]): Promise<void> {
    for (const line of lines) {
      await this.program.tell(line);
      await this.#finished();
    }
  }

  /** The ports of the connections that it has opened, in order. */
  get ports(): number[] {
    return [...this.program.stdout.matchAll(/^port (\d+)$/gm)].map(([, port]) => Number(port));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
  }

  async #finished(): Promise<void> {
    this.#done++;
    await waitFor(`${this.#done} times "done" of ${this.program.argv.join(" ")}`, () => {
      if (!this.program.running) throw this.program.error("it ended");
      return this.program.stdout.split(/^done$/m).length > this.#done;
    }, { timeoutMs: patienceMs });
  }
}

/** What all ends of a test note. `using` removes it. */
export class Records implements Disposable {
  readonly path = Deno.makeTempFileSync({ prefix: "mda-test-", suffix: ".records" });

  read(port: number): Noted {
    using file = Deno.openSync(this.path);
    const bytes = new Uint8Array(recordBytes);
    file.seekSync(port * recordBytes, Deno.SeekMode.Start);
    file.readSync(bytes);
    const view = new DataView(bytes.buffer);
    const direction = (at: number): Direction => {
      const [intended, sent, received] = [0, 8, 16].map((offset) =>
        Number(view.getBigUint64(at + offset, true))
      );
      return { intended, sent, received };
    };
    const ended = (at: number) =>
      new TextDecoder().decode(bytes.subarray(at, at + endedBytes)).split("\0")[0];
    return {
      toServer: direction(0),
      toClient: direction(24),
      client: ended(48),
      server: ended(48 + endedBytes),
    };
  }

  /** What ends that have no standard error have found wrong. */
  get errors(): string {
    return existsSync(this.#errors) ? Deno.readTextFileSync(this.#errors) : "";
  }

  get #errors(): string {
    return `${this.path}.errors`;
  }

  [Symbol.dispose](): void {
    for (const path of [this.path, this.#errors]) if (existsSync(path)) Deno.removeSync(path);
  }
}

export interface PairOptions {
  address?: string;
  port?: number;
  connections?: number;
  /** Where each end is; the host's cgroup and namespace when absent. */
  client?: Place;
  server?: Place;
  /** Another executable than ends.c itself. */
  executable?: string;
  /** The command line of what listens instead, and starts that executable with those records. */
  listen?: (executable: string, records: string) => string[];
}

/** A client and a server with connections between them over which bytes flow both ways. `await using` ends them. */
export class Pair implements AsyncDisposable {
  readonly #others: End[] = [];
  /** Connections that {@link Host.connections} has of these. */
  #counted = 0;

  private constructor(
    readonly host: Host,
    readonly records: Records,
    /** Who has that side of the connections now. */
    public server: End,
    public client: End,
    readonly ports: number[],
    readonly made: AsyncDisposableStack,
  ) {}

  static async open(host: Host, options: PairOptions = {}): Promise<Pair> {
    const { address = "127.0.0.1", port = 7000, connections = 4, executable } = options;
    const { cgroup, netns } = host;
    await using made = new AsyncDisposableStack();
    const records = made.use(new Records());
    const start = async (place: Place | undefined, ...argv: (string | number)[]) =>
      made.use(await End.start({ cgroup, netns, ...place }, argv, executable));
    const listen = async (argv: string[]) => {
      const { program } = made.use(await startServer({ cgroup, netns, ...options.server }, port, () => argv));
      return End.silent(program);
    };
    const server = options.listen
      ? await listen(options.listen(executable ?? compile("ends"), records.path))
      : await start(options.server, "listen", records.path, address, port);
    const client = await start(options.client, "connect", records.path, address, port, connections);
    const pair = new Pair(host, records, server, client, client.ports, made.move());
    pair.#count(connections);
    return pair;
  }

  /** Opens more connections, and returns their ports; `inside` says whether they are to be accelerated. */
  async open(count: number, inside = true): Promise<number[]> {
    await this.client.tell(`open ${count}`);
    if (inside) this.#count(this.#counted + count);
    return this.client.ports.slice(-count);
  }

  /** So many are to be accelerated from here on. */
  #count(connections: number): void {
    this.host.connections += connections - this.#counted;
    this.#counted = connections;
  }

  /** Another process for these connections. */
  async add(place: Place, argv: (string | number)[], executable?: string): Promise<End> {
    const { cgroup, netns } = this.host;
    const [how, ...others] = argv;
    const words = [how, this.records.path, ...others];
    const end = this.made.use(await End.start({ cgroup, netns, ...place }, words, executable));
    this.#others.push(end);
    return end;
  }

  /** What is noted of each connection. */
  noted(ports = this.ports): Noted[] {
    return ports.map((port) => this.records.read(port));
  }

  /** Waits until bytes have come through, both ways on every connection; under mda all accelerated, as a rule. */
  async flows({ ports = this.ports, bytes = 30_000, redirected = true } = {}): Promise<void> {
    const before = this.noted(ports), redirectedBefore = this.host.redirected ?? 0;
    const moved = () =>
      this.noted(ports).every(({ toServer, toClient }, i) =>
        toServer.received >= before[i].toServer.received + bytes &&
        toClient.received >= before[i].toClient.received + bytes
      );
    const accelerated = () =>
      !redirected || !this.host.mda ||
      this.host.redirected! >= redirectedBefore + 20 * ports.length && this.host.allInside;
    const what = () => JSON.stringify({ before, now: this.noted(ports), said: this.said });
    try {
      await waitFor("bytes to flow", () => {
        this.assertRunning();
        return moved() && accelerated();
      }, { timeoutMs: patienceMs });
    } catch (error) {
      const counted = this.host.mda ? JSON.stringify(await this.host.mda.status()) : "";
      throw new Error(`${(error as Error).message}: ${what()} ${counted}`);
    }
  }

  /** Waits until nothing is under way and nothing unread, where both ends have been told to send no more. */
  async settles(): Promise<void> {
    await waitFor(
      "all to be read",
      () =>
        this.noted().every(({ toServer, toClient }) =>
          toServer.sent === toServer.received && toClient.sent === toClient.received
        ),
      { timeoutMs: patienceMs },
    );
  }

  /** Waits until neither end can send more: the one that reads nothing is full. */
  async fills(sender: "toServer" | "toClient"): Promise<void> {
    const sent = () => this.noted().map((noted) => noted[sender].sent).join(" ");
    let last = "", same = 0;
    await waitFor("a full reader", () => {
      same = sent() === last ? same + 1 : 0;
      last = sent();
      return same >= 5;
    }, { timeoutMs: patienceMs, everyMs: 50 });
  }

  /** Lets the client end its connections, and waits until each has come to its end with every byte received. */
  async finish(ports = this.ports): Promise<void> {
    await this.client.tell("finish");
    await this.ended(ports);
    assertWhole(this.noted(ports));
  }

  /** Waits until the streams have ended for these ends. */
  async ended(ports = this.ports, sides: ("client" | "server")[] = ["client", "server"]): Promise<void> {
    await waitFor("the end of the streams", () => {
      this.assertRunning();
      return this.noted(ports).every((noted) => sides.every((side) => noted[side] !== ""));
    }, { timeoutMs: patienceMs }).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(this.noted(ports))} ${this.said}`);
    });
    this.assertRunning();
    this.#count(0);
  }

  /** A program that finds a wrong byte says so, and ends. */
  assertRunning(): void {
    assert.equal(this.said, "");
  }

  /** What the ends have found wrong. */
  get said(): string {
    const said = [this.server, this.client, ...this.#others].map(({ program }) => program.stderr);
    return said.join("") + this.records.errors;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#count(0);
    await this.made.disposeAsync();
  }
}

/** Both ends have seen the end of the stream, after every byte. */
export function assertWhole(noted: Noted[]): void {
  for (const { toServer, toClient, client, server } of noted) {
    assert.deepEqual([client, server], ["EOF", "EOF"]);
    assert.equal(toServer.received, toServer.sent);
    assert.equal(toClient.received, toClient.sent);
  }
}

/** A direction whose sender was killed: every byte that it has sent, and no other. It may have been in its last send. */
export function assertAllOfKilled({ intended, sent, received }: Direction): void {
  assert.ok(received >= sent && received <= intended, `${received} received, ${sent} to ${intended} sent`);
}
