import { setTimeout as sleep } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import { ConfigurationError } from "../../config/mistakes.ts";
import { isShortage } from "../../host/descriptors.ts";
import { formatListenAddress, type ListenAddress } from "../../host/listen_address.ts";
import { explainListening, listenAt, type Served } from "../../host/listeners.ts";
import type { Change } from "../../plane/lifecycle/supervisor.ts";

const log = getLogger("mda");

/** How long a port of its own may take to be free. */
const FREE_MS = 2000;
const LOOK_MS = 5;

/** A server that can go on at another address. */
export interface Server extends Disposable {
  ready(): void;
  reloaded(success: boolean): void;
  stopping(): void;
  /** Goes on where `listener` listens, and only there; the listener is then its own. */
  moveTo(listener: Deno.TcpListener): void;
  /** Listens nowhere until it is moved. */
  leave(): void;
}

/** One of the things that a running mda serves: at an address, or not at all, as a reload has it. */
export class Outlet<S extends Server> implements Disposable {
  #server: S | undefined;
  #at: ListenAddress | undefined;
  #isReady = false;

  /** @param make loads the parts of a server only where there is one */
  constructor(
    private readonly served: Served,
    private readonly make: (listener: Deno.TcpListener) => Promise<S>,
  ) {}

  get server(): S | undefined {
    return this.#server;
  }

  /** @throws Error when nobody can listen there */
  async serve(at: ListenAddress | undefined): Promise<void> {
    if (!at) return;
    let listener: Deno.TcpListener;
    try {
      listener = listenAt(at);
    } catch (error) {
      throw new Error(this.#explain(at, error));
    }
    await this.#begin(at, listener);
  }

  ready(): void {
    this.#isReady = true;
    this.#server?.ready();
  }

  stopping(): void {
    this.#isReady = false;
    this.#server?.stopping();
  }

  /**
   * Gets ready to serve there: what listens is there before anything changes.
   *
   * @throws ConfigurationError when nobody can listen there
   */
  changing(at: ListenAddress | undefined, config: string): Change {
    const stays = isSame(at, this.#at);
    let listener = stays ? undefined : this.#listen(at, config);
    return {
      putInForce: () => {
        if (stays) return;
        if (!at) this.#end();
        else if (!listener) void this.#moveOnPort(at);
        else if (this.#server) this.#server.moveTo(listener);
        else void this.#begin(at, listener);
        this.#at = at;
        listener = undefined;
      },
      [Symbol.dispose]: () => listener?.close(),
    };
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
  #listen(at: ListenAddress | undefined, config: string): Deno.TcpListener | undefined {
    if (!at) return undefined;
    try {
      return listenAt(at);
    } catch (error) {
      if (isShortage(error)) throw error;
      if (error instanceof Deno.errors.AddrInUse && this.#server && this.#at?.port === at.port) {
        return undefined;
      }
      throw new ConfigurationError(config, this.#explain(at, error));
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
        log.error(this.#explain(at, error));
        return this.#end();
      }
    }
  }

  async #begin(at: ListenAddress, listener: Deno.TcpListener): Promise<void> {
    this.#at = at;
    const server = await this.make(listener);
    // A later reload has found another place meanwhile.
    if (this.#at !== at) return server[Symbol.dispose]();
    this.#server = server;
    if (this.#isReady) server.ready();
  }

  #explain(at: ListenAddress, error: unknown): string {
    return explainListening(at, this.served, error as Error);
  }
}

function isSame(one: ListenAddress | undefined, other: ListenAddress | undefined): boolean {
  return (one && formatListenAddress(one)) === (other && formatListenAddress(other));
}
