import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type Place, type Program, start } from "../../lab/program.ts";
import { freePort, type Server, startRedis, startServer } from "../../lab/servers.ts";

const program = fileURLToPath(new URL("byte_streams.ts", import.meta.url));

/** Traffic that runs all the time and would notice any harm. `await using` ends it. */
export class Load implements AsyncDisposable {
  private constructor(
    readonly redis: Server,
    readonly streams: Server,
    readonly benchmark: Program,
    readonly checker: Program,
  ) {}

  static async start(place: Place): Promise<Load> {
    await using parts = new AsyncDisposableStack();
    const redisPort = freePort(), port = freePort();
    const redis = parts.use(await startRedis(place, { port: redisPort }));
    // All of it gives way to mda, whose starts and stops then take little longer than on an idle host.
    const nice = (...argv: string[]) => ["nice", ...argv];
    const deno = (command: string) =>
      nice(Deno.execPath(), "run", "-A", "--no-check", "-q", program, command, `${port}`);
    const streams = parts.use(await startServer(place, port, () => deno("serve")));
    const rounds = ["-l", "-q", "-t", "set,get", "-c", "20", "-n", "5000", "-d", "100"];
    const benchmark = parts.use(start(place, nice("redis-benchmark", "-p", `${redisPort}`, ...rounds)));
    const checker = parts.use(start(place, deno("check")));
    parts.move();
    return new Load(redis, streams, benchmark, checker);
  }

  /** Ends it, and fails when a connection broke or a byte was wrong or lost at any time. */
  async stop(): Promise<{ connections: number; bytes: number }> {
    const { code } = await this.checker.stop("SIGTERM", 20_000);
    assert.equal(code, 0, this.checker.stderr);
    this.assertRuns(this.benchmark);
    for (const server of [this.redis, this.streams]) this.assertRuns(server.program);
    await this.benchmark.stop();
    return JSON.parse(this.checker.stdout);
  }

  /** Fails when one of its programs has given up; of servers first, with which their clients end. */
  check(): void {
    for (const part of [this.redis.program, this.streams.program, this.checker, this.benchmark]) {
      this.assertRuns(part);
    }
  }

  private assertRuns(program: Program): void {
    if (!program.running) throw program.error("it ended");
    // redis-benchmark goes on after an error reply.
    assert.doesNotMatch(program.stderr, /error/i);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const part of [this.checker, this.benchmark, this.streams, this.redis]) {
      await part[Symbol.asyncDispose]();
    }
  }
}
