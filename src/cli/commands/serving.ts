import { setTimeout as sleep } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import type { Settings } from "../../config/settings.ts";
import { ConfigurationError } from "../../config/mistakes.ts";
import { formatListenAddress, type ListenAddress } from "../../host/listen_address.ts";
import { explainListening, listenAt } from "../../host/listeners.ts";
import type { MetricsServer } from "../../http/server.ts";
import { changeLog } from "../../log/log.ts";
import type { Change, Supervisor } from "../../plane/lifecycle/supervisor.ts";

const log = getLogger("mda");

/** How long a port of its own may take to be free. */
const FREE_MS = 2000;
const LOOK_MS = 5;

/** What a running mda serves, beside who supervises it: both are told how it is, and a reload moves the server. */
export class Serving implements Supervisor, Disposable {
  #server: MetricsServer | undefined;
  #at: ListenAddress | undefined;
  #isReady = false;

  constructor(
    private readonly supervisor: Supervisor,
    private readonly config: string,
    private readonly pinDir: string,
  ) {}

  get aliveMs(): number | undefined {
    return this.supervisor.aliveMs;
  }

  /** @throws Error when nobody can listen there */
  async serve(at: ListenAddress | undefined): Promise<void> {
    if (at) await this.#make(at, at);
  }

  ready(status: string): void {
    this.#isReady = true;
    this.#server?.ready();
    this.supervisor.ready(status);
  }

  reloading(): void {
    this.supervisor.reloading();
  }

  /** What listens is there before anything changes: a port in use changes nothing. */
  changing({ metrics, logFormat, logLevel }: Settings): Change {
    const stays = isSame(metrics, this.#at);
    let listener = stays ? undefined : this.#listen(metrics);
    return {
      putInForce: () => {
        changeLog(logFormat, logLevel);
        if (stays) return;
        if (!metrics) this.#end();
        else if (!listener) void this.#moveOnPort(metrics);
        else if (this.#server) this.#server.moveTo(listener);
        else void this.#make(metrics, listener);
        this.#at = metrics;
        listener = undefined;
      },
      [Symbol.dispose]: () => listener?.close(),
    };
  }

  reloaded(success: boolean): void {
    this.#server?.reloaded(success);
  }

  stopping(): void {
    this.#isReady = false;
    this.#server?.stopping();
    this.supervisor.stopping();
  }

  alive(): void {
    this.supervisor.alive();
  }

  [Symbol.dispose](): void {
    this.#end();
  }

  #end(): void {
    this.#server?.[Symbol.dispose]();
    this.#server = undefined;
    this.#at = undefined;
  }

  /** Undefined also where the port is this one's own at another address: nobody has it at one and at all of them. */
  #listen(at: ListenAddress | undefined): Deno.TcpListener | undefined {
    if (!at) return undefined;
    try {
      return listenAt(at);
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse && this.#server && this.#at?.port === at.port) {
        return undefined;
      }
      throw new ConfigurationError(
        this.config,
        `Cannot serve metrics on ${explainListening(at, "metrics", error as Error)}`,
      );
    }
  }

  /** The port is free as soon as Deno has seen the end of what waits for clients there. */
  async #moveOnPort(at: ListenAddress): Promise<void> {
    this.#server!.leave();
    for (const end = performance.now() + FREE_MS;;) {
      await sleep(LOOK_MS);
      if (this.#at !== at) return;
      try {
        return this.#server!.moveTo(listenAt(at));
      } catch (error) {
        if (performance.now() < end) continue;
        log.error(`Cannot serve metrics on ${explainListening(at, "metrics", error as Error)}`);
        return this.#end();
      }
    }
  }

  /** Its parts are loaded only where there is one. */
  async #make(at: ListenAddress, listens: ListenAddress | Deno.TcpListener): Promise<void> {
    this.#at = at;
    const { MetricsServer } = await import("../../http/server.ts");
    // A later reload has found another place meanwhile.
    if (this.#at !== at) return "close" in listens ? listens.close() : undefined;
    this.#server = new MetricsServer(listens, this.pinDir);
    if (this.#isReady) this.#server.ready();
  }
}

function isSame(one: ListenAddress | undefined, other: ListenAddress | undefined): boolean {
  return (one && formatListenAddress(one)) === (other && formatListenAddress(other));
}
