/**
 * The signals that a running mda is steered by, from the first moment on: one that comes early is not lost. Up to the end of
 * the process: one that comes late does not turn a stop in order into a death by a signal.
 */
export class Signals {
  readonly #stop = Promise.withResolvers<Deno.Signal>();
  readonly #again = new AbortController();
  #stopping = false;
  #hangup = false;
  #reload: (() => void) | undefined;

  /** @param onHangup is called at each SIGHUP, also while nothing can be reloaded yet or any more */
  constructor(onHangup: () => void) {
    const stop = (signal: Deno.Signal) => () => {
      if (this.#stopping) this.#again.abort();
      this.#stopping = true;
      this.#stop.resolve(signal);
    };
    Deno.addSignalListener("SIGINT", stop("SIGINT"));
    Deno.addSignalListener("SIGTERM", stop("SIGTERM"));
    Deno.addSignalListener("SIGHUP", () => {
      onHangup();
      if (this.#reload) this.#reload();
      else this.#hangup = true;
    });
  }

  /** Calls `reload` at each SIGHUP until SIGINT or SIGTERM comes, which it returns. */
  async stop(reload: () => void): Promise<Deno.Signal> {
    this.#reload = reload;
    if (this.#hangup) reload();
    const signal = await this.#stop.promise;
    this.#reload = () => {};
    return signal;
  }

  /** A second SIGINT or SIGTERM: whoever sends it does not want to wait. */
  get again(): AbortSignal {
    return this.#again.signal;
  }
}
