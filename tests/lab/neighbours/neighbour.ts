import { fileURLToPath } from "node:url";
import type { Cgroup } from "../cgroup.ts";
import { newPinDir, removePins } from "../mda.ts";
import { type Program, start } from "../program.ts";

const holder = fileURLToPath(new URL("hold.ts", import.meta.url));

export interface OtherOwnerOptions {
  cgroup: Cgroup;
  /** A sockops program that asks for callbacks of its own; or one that puts sockets into a sockhash with such a program. */
  kind: "watcher" | "messages" | "stream";
  /** What its sockops program returns. */
  verdict?: 0 | 1;
  /** Whether it redirects messages, as textbooks do. */
  redirects?: boolean;
  /** Whether it takes the sockets of clients only. */
  clientsOnly?: boolean;
}

/** A process with BPF programs of its own for the sockets of a cgroup. `await using` ends it, and with it the programs. */
export class OtherOwner implements AsyncDisposable {
  private constructor(
    readonly program: Program,
    readonly pinDir: string,
    /** Of its sockops program. */
    readonly sockopsId: number,
    /** Of its other program; NaN when there is none. */
    readonly verdictId: number,
  ) {}

  static async start(
    { cgroup, kind, verdict = 1, redirects = false, clientsOnly = false }: OtherOwnerOptions,
  ): Promise<OtherOwner> {
    const pinDir = newPinDir();
    const args = [cgroup.path, pinDir, kind, `${verdict}`, `${Number(redirects)}`, `${Number(clientsOnly)}`];
    const program = start({}, [Deno.execPath(), "run", "-A", "--no-check", "-q", holder, ...args]);
    try {
      const [, sockops, other] = await program.says(/^attached (\d+) ?(\d*)$/m);
      return new OtherOwner(program, pinDir, Number(sockops), other ? Number(other) : NaN);
    } catch (error) {
      await program[Symbol.asyncDispose]();
      throw error;
    }
  }

  get pid(): number {
    return this.program.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
    removePins(this.pinDir);
  }
}
