/** The stream checker: torture.c, of which several copies run at once, since mda knows programs by their executable. */
import { compile } from "../lab/compile.ts";
import { type Place, type Program, start } from "../lab/program.ts";

/** Longer than the checker takes to end, or to give up. */
const endMs = 90_000;

/** What a checker has found: its last line. */
export interface Checked {
  connections: number;
  bytes: number;
  wrong: number;
  stalled: number;
  broken: number;
}

export interface CheckerOptions {
  /** Of the executable. */
  name: string;
  directory: string;
  seed: number;
  connections: number;
  /** As on its command line: `recv,send,level`, `all,-splice`. */
  habits: string;
  /** At most; it ends when it is told to. */
  seconds: number;
  /** How much longer readers on edges may stand still. */
  edgesLateMs?: number;
  args?: string[];
}

/** A copy of the checker that runs. `await using` ends it. */
export class Checker implements AsyncDisposable {
  private constructor(readonly name: string, readonly program: Program, readonly ports: number[]) {}

  static async start(place: Place, options: CheckerOptions): Promise<Checker> {
    const { name, directory, seed, connections, habits, seconds, edgesLateMs = 0, args = [] } = options;
    const executable = `${directory}/torture-${name}`;
    Deno.copyFileSync(compile("torture/torture.static"), executable);
    const numbers = { seed, connections, seconds, "edges-late-ms": edgesLateMs };
    const words = Object.entries(numbers).flatMap(([option, value]) => [`--${option}`, `${value}`]);
    const program = start(place, [executable, ...words, "--habits", habits, ...args]);
    const [, ports] = await program.says(/^ports (.*)$/m);
    return new Checker(name, program, ports.split(" ").map(Number));
  }

  /** What it has found wrong so far, a line each. */
  get harm(): string[] {
    return this.program.stderr.split("\n").filter(Boolean).map((line) => `${line} [${this.name}]`);
  }

  /** Whether readers on edges are looked after: not between the end of a killed mda and the next (docs/limits.md). */
  helped(yes: boolean): void {
    this.program.kill(yes ? "SIGUSR2" : "SIGUSR1");
  }

  /** Lets its connections come to their ends, and tells what it has seen. */
  async stop(): Promise<Checked> {
    await this.program.stop("SIGTERM", endMs);
    const numbers =
      /: (\d+) connections opened, (\d+) bytes verified, (\d+) wrong, (\d+) stalled, (\d+) broken$/m;
    const match = numbers.exec(this.program.stdout);
    if (!match) throw this.program.error("it has not come to its end");
    const [connections, bytes, wrong, stalled, broken] = match.slice(1).map(Number);
    return { connections, bytes, wrong, stalled, broken };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]();
  }
}
