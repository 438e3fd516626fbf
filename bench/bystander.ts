import { type Cgroup, createCgroup } from "../tests/lab/cgroup.ts";
import { type Program, start } from "../tests/lab/program.ts";
import { freePort, startNginx, startRedis } from "../tests/lab/servers.ts";
import { Stream } from "../tests/lab/stream.ts";
import { sleep } from "../tests/lab/wait.ts";
import { hostMs, usedMs } from "./cpu_time.ts";

/** From the moment that its client goes on until it is looked at. */
const startMs = 60;
const sliceMs = 500;
const forever = 1e9;

/** What a bystander did in a slice. */
export interface BystanderSlice {
  requestsPerSecond: number;
  cpuMsPerRequest: number;
  /** How much of the CPUs' time was used by others: 0 to 1. */
  othersShare: number;
}

/**
 * A server and its client, which run all the time and are let on for a slice at a time: how fast they are depends on how
 * their connections and CPUs have met when they started, by more than on anything that is to be measured.
 */
export class Bystander implements AsyncDisposable {
  private constructor(
    readonly name: string,
    readonly cgroup: Cgroup,
    readonly client: Program,
    /** How many requests the server has had. */
    readonly requests: () => Promise<number>,
    readonly stack: AsyncDisposableStack,
  ) {}

  /** redis-benchmark to redis: small messages, many of them. */
  static async redis(): Promise<Bystander> {
    const connections = 50;
    await using stack = new AsyncDisposableStack();
    const cgroup = stack.use(createCgroup("bench-bystander-redis"));
    const port = freePort();
    stack.use(await startRedis({ cgroup }, { port }));
    const load = ["-p", `${port}`, "-c", `${connections}`, "-n", `${forever}`, "-t", "get", "--csv"];
    const client = stack.use(start({ cgroup }, ["redis-benchmark", ...load]));
    const statistics = stack.use(await Stream.open(port));
    const requests = async () => {
      await statistics.write("INFO stats\r\n");
      const bytes = Number((await statistics.readLine()).slice(1));
      const text = new TextDecoder().decode(await statistics.readBytes(bytes + "\r\n".length));
      return Number(/^total_commands_processed:(\d+)/m.exec(text)![1]);
    };
    const name = `redis GET, ${connections} conn`;
    return new Bystander(name, cgroup, client, requests, stack.move()).#halted();
  }

  /** wrk, which reads 8 KiB at a time and asks FIONREAD after each, to nginx. */
  static async wrk(): Promise<Bystander> {
    const connections = 4;
    await using stack = new AsyncDisposableStack();
    const cgroup = stack.use(createCgroup("bench-bystander-wrk"));
    const port = freePort();
    const bodies = { body: "a".repeat(1 << 20) };
    const locations = "location = /status { stub_status; }";
    stack.use(await startNginx({ cgroup }, { port }, { bodies, locations, sendfile: false }));
    const url = `http://127.0.0.1:${port}`;
    const load = ["-t1", `-c${connections}`, `-d${forever}`, `${url}/body`];
    const client = stack.use(start({ cgroup }, ["wrk", ...load]));
    const requests = async () => {
      // Active connections: ... \n server accepts handled requests\n 4 4 1234 \n
      const text = await (await fetch(`${url}/status`)).text();
      return Number(/^ \d+ \d+ (\d+)/m.exec(text)![1]);
    };
    return new Bystander(`wrk, 1 MiB, ${connections} conn`, cgroup, client, requests, stack.move()).#halted();
  }

  /** Lets it on for a slice. */
  async slice(): Promise<BystanderSlice> {
    if (!this.client.running) throw this.client.error("it ended");
    this.client.kill("SIGCONT");
    await sleep(startMs);
    const before = await this.#now();
    await sleep(sliceMs);
    const after = await this.#now();
    this.client.kill("SIGSTOP");
    const requests = after.requests - before.requests, cpuMs = after.cpuMs - before.cpuMs;
    return {
      requestsPerSecond: 1000 * requests / (after.ms - before.ms),
      cpuMsPerRequest: cpuMs / requests,
      othersShare: Math.max(0, after.host.used - before.host.used - cpuMs) /
        (after.host.all - before.host.all),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.kill("SIGCONT");
    await this.stack.disposeAsync();
  }

  async #halted(): Promise<this> {
    await this.slice();
    return this;
  }

  async #now() {
    return {
      requests: await this.requests(),
      ms: performance.now(),
      cpuMs: usedMs(this.cgroup),
      host: hostMs(),
    };
  }
}
