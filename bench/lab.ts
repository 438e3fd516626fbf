/** Cgroups, network namespaces and processes that a benchmark makes, and takes away again whatever happens. */
import { findCgroup2 } from "../src/host/cgroup.ts";

const REMOVE_MS = 3000;

/** Where a process runs. */
export interface Place {
  /** A directory of cgroup2. */
  cgroup: string;
  /** The name of a network namespace. */
  namespace: string;
}

/** What a program that ran to its end has printed. */
export interface Output {
  stdout: string;
  stderr: string;
}

/**
 * The ground for one run. Its cgroup has everything that the run starts in it, so that removing the cgroup ends all of
 * it. Names carry the PID: runs do not disturb one another.
 */
export class Lab implements AsyncDisposable {
  readonly name = `mda-bench-${Deno.pid}`;
  readonly cgroup = `${findCgroup2()}/${this.name}`;
  /** For sockets, configurations and the like. */
  readonly directory: string;
  /** Aborted by whoever wants the run to end. */
  readonly interrupted: AbortSignal;
  readonly #cleanup = new AsyncDisposableStack();

  constructor(interrupted: AbortSignal) {
    this.interrupted = interrupted;
    this.directory = Deno.makeTempDirSync({ prefix: `${this.name}-` });
    // nginx's workers and haproxy run as other users.
    Deno.chmodSync(this.directory, 0o755);
    this.#cleanup.defer(() => Deno.remove(this.directory, { recursive: true }));
    Deno.mkdirSync(this.cgroup);
    this.#cleanup.defer(() => removeCgroup(this.cgroup));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#cleanup.disposeAsync();
  }

  /** Undone when the lab is, the last first. */
  defer(undo: () => void | Promise<void>): void {
    this.#cleanup.defer(undo);
  }

  /** A cgroup below the lab's own. */
  makeCgroup(name: string): string {
    const path = `${this.cgroup}/${name}`;
    Deno.mkdirSync(path);
    return path;
  }

  /** A network namespace with its loopback up; returns its name. */
  async makeNamespace(name: string): Promise<string> {
    const namespace = `${this.name}-${name}`;
    await this.ip("netns", "add", namespace);
    this.defer(async () => {
      // Not through run(), which an interruption ends.
      await new Deno.Command("ip", { args: ["netns", "delete", namespace] }).output();
    });
    await this.ip("-n", namespace, "link", "set", "lo", "up");
    return namespace;
  }

  async ip(...args: string[]): Promise<void> {
    await this.run(undefined, ["ip", ...args]);
  }

  /**
   * Runs a program to its end, at `place` or else where this process is.
   *
   * @throws Error when it fails or takes longer than `timeoutMs`
   */
  async run(place: Place | undefined, command: readonly string[], timeoutMs = 20_000): Promise<Output> {
    this.interrupted.throwIfAborted();
    const child = spawn(place, command, "piped");
    let timedOut = false;
    const kill = () => tryKill(child, "SIGKILL");
    const timer = setTimeout(() => {
      timedOut = true;
      kill();
    }, timeoutMs);
    this.interrupted.addEventListener("abort", kill);
    try {
      const { success, code, stdout, stderr } = await child.output();
      const output = { stdout: text(stdout), stderr: text(stderr) };
      this.interrupted.throwIfAborted();
      if (!success) {
        const why = timedOut ? `it took longer than ${timeoutMs} ms` : `it exited with ${code}`;
        throw new Error(
          `Cannot run ${command.join(" ")}: ${why}\n${output.stderr}${output.stdout}`.trimEnd(),
        );
      }
      return output;
    } finally {
      clearTimeout(timer);
      this.interrupted.removeEventListener("abort", kill);
    }
  }

  /** Starts a server at `place`, and waits until it listens on `port`. */
  async serve(place: Place, command: readonly string[], port: number, timeoutMs = 10_000): Promise<void> {
    const child = spawn(place, command, "null");
    let exited = false;
    child.status.then(() => exited = true);
    this.defer(async () => {
      // Not SIGKILL at once: nginx's workers would be left for init to reap.
      tryKill(child, "SIGTERM");
      const timer = setTimeout(() => tryKill(child, "SIGKILL"), REMOVE_MS);
      await child.status;
      clearTimeout(timer);
    });
    for (const end = Date.now() + timeoutMs; !listens(child.pid, port); await sleep(20)) {
      this.interrupted.throwIfAborted();
      if (exited || Date.now() > end) {
        throw new Error(`Cannot start ${command.join(" ")}: it does not listen on port ${port}`);
      }
    }
  }
}

/** Starts a program with pipes to it; the caller ends it. */
export function spawn(
  place: Place | undefined,
  command: readonly string[],
  output: "piped" | "null",
  input: "piped" | "null" = "null",
): Deno.ChildProcess {
  const script = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
  const [program, ...args] = place
    ? ["sh", "-c", script, place.cgroup, "nsenter", `--net=/run/netns/${place.namespace}`, ...command]
    : command;
  return new Deno.Command(program, { args, stdin: input, stdout: output, stderr: output }).spawn();
}

/** Signals a process that may be gone. */
export function tryKill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Whether the network namespace of a process has a listener on `port`. */
function listens(pid: number, port: number): boolean {
  // 0A is TCP_LISTEN; the second column is the local address.
  const listener = new RegExp(
    `^ *\\d+: [0-9A-F]+:${port.toString(16).toUpperCase().padStart(4, "0")} \\S+ 0A `,
    "m",
  );
  return ["tcp", "tcp6"].some((file) => {
    try {
      return listener.test(Deno.readTextFileSync(`/proc/${pid}/net/${file}`));
    } catch {
      return false;
    }
  });
}

async function removeCgroup(path: string): Promise<void> {
  Deno.writeTextFileSync(`${path}/cgroup.kill`, "1");
  const children = [...Deno.readDirSync(path)].filter((entry) => entry.isDirectory);
  const all = [...children.map(({ name }) => `${path}/${name}`), path];
  for (const directory of all) {
    for (const end = Date.now() + REMOVE_MS;; await sleep(20)) {
      try {
        Deno.removeSync(directory);
        break;
      } catch (error) {
        // EBUSY until the last process has been reaped.
        if (Date.now() > end) throw error;
      }
    }
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
