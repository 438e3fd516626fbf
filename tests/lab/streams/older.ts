import type { Place, Program } from "../program.ts";
import { waitFor } from "../wait.ts";
import { startProgram } from "./programs.ts";

export interface OlderOptions {
  family?: 4 | 6;
  /** With MPTCP's, a socket of it listens, at any address of both families; the rest is plain TCP in non-blocking mode. */
  mode?: "nonblocking" | "blocking" | "mptcp" | "mptcp-any";
  connections?: number;
  /** Where the client and the server run. */
  cpus?: [number, number];
}

/** Connections that are opened at once and then used as told: see older.c. `await using` ends them. */
export class Older implements AsyncDisposable {
  #done = 0;

  private constructor(readonly program: Program) {}

  static async start(place: Place, options: OlderOptions = {}): Promise<Older> {
    const { family = 4, mode = "nonblocking", connections = 10, cpus = [] } = options;
    const older = new Older(startProgram(place, "older", family, mode, connections, ...cpus));
    await older.#finished();
    return older;
  }

  /** COUNT round trips of BYTES each on every connection. */
  trips(count: number, bytes: number): Promise<void> {
    return this.#command(`trips ${count} ${bytes}`);
  }

  /** MIB to the server on every connection, in messages of BYTES. */
  stream(mib: number, bytes: number): Promise<void> {
    return this.#command(`stream ${mib} ${bytes}`);
  }

  /** Switches all sockets to a mode. */
  become(mode: "nonblocking" | "blocking"): Promise<void> {
    return this.#command(mode);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
  }

  async #command(line: string): Promise<void> {
    await this.program.tell(line);
    await this.#finished();
  }

  async #finished(): Promise<void> {
    this.#done++;
    await waitFor(`${this.#done} times "done"`, () => {
      if (!this.program.running) throw this.program.error("it ended");
      return this.program.stdout.split("done\n").length > this.#done;
    }, { timeoutMs: 60_000 });
  }
}
