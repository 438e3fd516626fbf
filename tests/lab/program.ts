import type { Cgroup } from "./cgroup.ts";
import type { NetworkNamespace } from "./netns.ts";
import { within } from "./wait.ts";

/** Where a program runs; as root, in the namespace and the cgroup of the test, for what is absent. */
export interface Place {
  cgroup?: Cgroup;
  netns?: NetworkNamespace;
  uid?: number;
  gid?: number;
  /** It gives way to others by so much: 0 to 19. */
  nice?: number;
}

export interface ProgramOptions {
  env?: Record<string, string>;
  cwd?: string;
  /** Whether the program reads what it is told with {@link Program.tell}. */
  listens?: boolean;
}

export interface Output {
  code: number;
  stdout: string;
  stderr: string;
}

const stopMs = 10_000;

/** A program that runs. `await using` ends it. */
export class Program implements AsyncDisposable {
  readonly status: Promise<Deno.CommandStatus>;
  stdout = "";
  stderr = "";
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<unknown>;
  #ended: Deno.CommandStatus | undefined;
  #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>> | undefined;
  #heard: (() => void)[] = [];

  constructor(readonly argv: string[], child: Deno.ChildProcess) {
    this.#child = child;
    this.status = child.status.then((status) => (this.#ended = status));
    this.#read = Promise.all([
      this.#listen(child.stdout, (text) => (this.stdout += text)),
      this.#listen(child.stderr, (text) => (this.stderr += text)),
    ]);
  }

  get pid(): number {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#ended === undefined;
  }

  /**
   * Waits until the program has written something that matches, and returns the match.
   *
   * @throws Error with all of its output when it ends before
   */
  async says(pattern: RegExp, timeoutMs = 10_000): Promise<RegExpExecArray> {
    const said = (async () => {
      for (;;) {
        const match = pattern.exec(this.stderr) ?? pattern.exec(this.stdout);
        if (match) return match;
        if (this.#ended) throw this.error(`it ended with ${this.#ended.signal ?? this.#ended.code}`);
        const heard = new Promise<void>((resolve) => this.#heard.push(resolve));
        await Promise.race([heard, this.#read.then(() => this.status)]);
      }
    })();
    return await within(timeoutMs, `${pattern} of ${this.argv[0]}`, said);
  }

  /** Writes a line to its standard input. */
  async tell(line: string): Promise<void> {
    this.#input ??= this.#child.stdin.getWriter();
    await this.#input.write(new TextEncoder().encode(`${line}\n`));
  }

  kill(signal: Deno.Signal): void {
    if (!this.running) return;
    try {
      this.#child.kill(signal);
    } catch (error) {
      // It has ended, and this process has not yet been told.
      if (!(error instanceof TypeError)) throw error;
    }
  }

  /** Waits for its end, and for all that it has written. */
  async ended(timeoutMs = stopMs): Promise<Deno.CommandStatus> {
    const all = this.status.then(async (status) => (await this.#read, status));
    return await within(timeoutMs, `the end of ${this.argv.join(" ")}`, all);
  }

  /** Asks it to end; kills it, and throws, when it has not within `timeoutMs`. */
  async stop(signal: Deno.Signal = "SIGTERM", timeoutMs = stopMs): Promise<Deno.CommandStatus> {
    this.kill(signal);
    try {
      return await this.ended(timeoutMs);
    } catch (error) {
      this.kill("SIGKILL");
      await this.status;
      throw error;
    }
  }

  error(why: string): Error {
    return new Error(`${this.argv.join(" ")}: ${why}\n${this.stdout}${this.stderr}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input?.close().catch(() => {});
    this.kill("SIGTERM");
    try {
      await this.ended(2000);
    } catch {
      this.kill("SIGKILL");
      await this.status;
      await this.#child.stdout.cancel().catch(() => {});
      await this.#child.stderr.cancel().catch(() => {});
    }
  }

  async #listen(stream: ReadableStream<Uint8Array<ArrayBuffer>>, add: (text: string) => void): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      add(text);
      this.#heard.splice(0).forEach((resolve) => resolve());
    }
  }
}

/** Starts a program; its pid is that of the process, whatever the place. */
export function start(place: Place, argv: string[], { listens, ...options }: ProgramOptions = {}): Program {
  const [program, ...args] = inPlace(place, argv);
  const child = new Deno.Command(program, {
    args,
    ...options,
    stdin: listens ? "piped" : "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return new Program(argv, child);
}

/** Runs a program to its end, and returns whatever that was; `timeoutMs` is a bound, an error beyond. */
export async function tryRun(
  place: Place,
  argv: string[],
  { timeoutMs = 20_000, ...options }: ProgramOptions & { timeoutMs?: number } = {},
): Promise<Output> {
  await using program = start(place, argv, options);
  const { code } = await program.ended(timeoutMs);
  return { code, stdout: program.stdout, stderr: program.stderr };
}

/** As tryRun(), for a program that must succeed. Returns its standard output. */
export async function run(
  place: Place,
  argv: string[],
  options: ProgramOptions & { timeoutMs?: number } = {},
): Promise<string> {
  const { code, stdout, stderr } = await tryRun(place, argv, options);
  if (code !== 0) throw new Error(`${argv.join(" ")} ended with ${code}\n${stdout}${stderr}`);
  return stdout;
}

/** The command line that runs another one in a place. Each step replaces itself with the next. */
export function inPlace({ cgroup, netns, uid, gid, nice }: Place, argv: string[]): string[] {
  const words: string[] = [];
  if (nice !== undefined) words.push("nice", "-n", `${nice}`);
  if (cgroup) words.push("sh", "-c", 'echo $$ >"$0" && exec "$@"', cgroup.procs);
  if (netns) words.push("nsenter", `--net=${netns.path}`, "--");
  if (uid !== undefined || gid !== undefined) words.push("setpriv", "--clear-groups");
  if (uid !== undefined) words.push(`--reuid=${uid}`);
  if (gid !== undefined) words.push(`--regid=${gid}`);
  return [...words, ...argv];
}
