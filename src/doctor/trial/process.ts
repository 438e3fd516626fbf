import { ownArguments } from "../../host/process.ts";
import { type Answer, Lines, type Steps, trialVariable } from "./program.ts";
import { NotTried } from "./not_tried.ts";

/** How long a step may take. */
const STEP_MS = 10_000;
const END_MS = 1000;

/** The process that has the connections, as the one that watches them sees it. Disposing of it ends it. */
export class TrialProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #answers: ReadableStreamDefaultReader<string>;
  readonly #said: Promise<string>;

  /** @param signal ends its steps */
  constructor(private readonly signal: AbortSignal) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ownArguments(),
      env: { [trialVariable]: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#answers = this.#child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new Lines())
      .getReader();
    this.#said = new Response(this.#child.stderr).text();
  }

  /**
   * @throws NotTried when it could not be tried, Error when it went wrong
   */
  async do<Step extends keyof Steps>(
    step: Step,
    options: Parameters<Steps[Step]>[0],
  ): Promise<ReturnType<Steps[Step]>> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify({ step, options })}\n`));
    const { value, done } = await this.#within(STEP_MS, this.#answers.read());
    if (done) throw new Error(`the process of the trial has ended: ${(await this.#said).trim()}`);
    const answer: Answer = JSON.parse(value);
    if ("result" in answer) return answer.result as ReturnType<Steps[Step]>;
    if (answer.notTried) throw new NotTried(answer.error, answer.remedy);
    throw new Error(answer.error);
  }

  async #within<T>(ms: number, promise: Promise<T>): Promise<T> {
    const ended = AbortSignal.any([this.signal, AbortSignal.timeout(ms)]);
    const aborted = Promise.withResolvers<never>();
    ended.onabort = () => aborted.reject(ended.reason);
    if (ended.aborted) aborted.reject(ended.reason);
    try {
      return await Promise.race([promise, aborted.promise]);
    } finally {
      ended.onabort = null;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), END_MS);
    await this.#child.status;
    clearTimeout(timer);
    await this.#answers.cancel().catch(() => {});
    await this.#said.catch(() => {});
  }
}
