import { setTimeout as sleep } from "node:timers/promises";
import * as libc from "./libc/mod.ts";
import { Notifier } from "./notify.ts";
import { ownArguments } from "./process.ts";

/** How long a daemon may take until it is ready. */
const READY_MS = 60_000;
/** How long one that is told to stop may take before it is killed. */
const STOP_MS = 10_000;
const LOOK_MS = 10;

/** The variable that tells a daemon whom to tell that it is ready: the name of a socket, as NOTIFY_SOCKET has it. */
const socketVariable = "MDA_DAEMON_SOCKET";

/**
 * Starts this very command line again as a daemon: in a session of its own, without input, with the output and the
 * environment of this process. Returns its exit status when it ends by itself before it is ready, and 0 when it is ready.
 *
 * @throws Error when a signal ended the daemon, when SIGINT, SIGTERM or SIGHUP came first, or 60 s passed; no daemon runs then
 */
export async function startDaemon(): Promise<number> {
  // First: where no more threads may run, Deno ends here, and leaves no socket behind.
  using interruption = new Interruption("SIGINT", "SIGTERM", "SIGHUP");
  using socket = new ReadySocket();
  keepDescriptors();
  const child = spawn(socket.path);
  let ended: Deno.CommandStatus | undefined;
  const end = child.status.then((status) => ended = status);
  for (const late = performance.now() + READY_MS;;) {
    if (socket.isReady()) return 0;
    if (ended) return exitStatus(ended);
    const why = interruption.signal ?? (performance.now() > late ? `${READY_MS / 1000} s passed` : undefined);
    if (why !== undefined) {
      await stop(child, end);
      throw new Error(`Cannot start the daemon: ${why} before it was ready; it is stopped`);
    }
    await Promise.race([end, sleep(LOOK_MS)]);
  }
}

/** What a daemon does about who has started it; {@link startDaemon} is the other side. */
export class Daemon {
  readonly aliveMs = undefined;
  /** Called once, when it is ready and before standard output and error go away. */
  beforeReady: () => void = () => {};
  readonly #socket: string;
  readonly #standardStreams: number[];
  #isReady = false;

  /** This process as a daemon; undefined when startDaemon() has not started it. To be called before anything is opened. */
  static self(): Daemon | undefined {
    const socket = Deno.env.get(socketVariable);
    return socket === undefined ? undefined : new Daemon(socket);
  }

  private constructor(socket: string) {
    this.#socket = socket;
    this.#standardStreams = copiesOfStandardStreams();
    // For programs that it would start.
    Deno.env.delete(socketVariable);
    Deno.env.delete("NOTIFY_SOCKET");
  }

  /** Leaves the terminal or pipe, and lets the process that waits for that go. */
  ready(status: string): void {
    if (this.#isReady) return;
    this.#isReady = true;
    this.beforeReady();
    // First, so that whoever reads the output sees its end as soon as the starting process has ended.
    redirectToNull(this.#standardStreams);
    using notifier = new Notifier({ NOTIFY_SOCKET: this.#socket });
    notifier.ready(status);
  }

  // Nobody listens any more.
  reloading(): void {}
  stopping(): void {}
  alive(): void {}
}

/** Where a daemon says READY=1. */
class ReadySocket implements Disposable {
  /** Nobody else can send to it: Deno makes the directory for its owner only. */
  readonly #directory = makeDirectory();
  readonly path = `${this.#directory}/notify`;
  readonly #fd = libc.socket(libc.AF_UNIX, libc.SOCK_DGRAM | libc.SOCK_NONBLOCK);

  constructor() {
    try {
      libc.bindUnix(this.#fd, this.path);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  isReady(): boolean {
    if (libc.poll(this.#fd, libc.POLLIN, 0) === 0) return false;
    const buffer = new Uint8Array(4096);
    const text = new TextDecoder().decode(buffer.subarray(0, libc.recv(this.#fd, buffer)));
    return text.split("\n").includes("READY=1");
  }

  [Symbol.dispose](): void {
    libc.close(this.#fd);
    Deno.removeSync(this.#directory, { recursive: true });
  }
}

/** Where a host has no directory for temporary files that can be written to, there is still that of PID files. */
function makeDirectory(): string {
  const places = [Deno.env.get("TMPDIR") || "/tmp", "/run"];
  const failures: string[] = [];
  for (const dir of places) {
    try {
      return Deno.makeTempDirSync({ dir, prefix: "mda-daemon-" });
    } catch (error) {
      failures.push(`${dir}: ${(error as Error).message}`);
    }
  }
  throw new Error(
    `Cannot start the daemon: it needs a directory for a socket (${
      failures.join("; ")
    }); name one with TMPDIR`,
  );
}

function spawn(socketPath: string): Deno.ChildProcess {
  try {
    return new Deno.Command(Deno.execPath(), {
      args: ownArguments(),
      // NOTIFY_SOCKET is that of who started this process, and expects its messages.
      env: { [socketVariable]: socketPath, NOTIFY_SOCKET: "" },
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
      detached: true,
    }).spawn();
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
    throw new Error(
      `Cannot start the daemon: ${error.message}; no more processes may run here, raise pids.max of the cgroup (in a unit ` +
        "TasksMax=) or ulimit -u",
    );
  }
}

class Interruption implements Disposable {
  signal: Deno.Signal | undefined;
  readonly #handlers: [Deno.Signal, () => void][];

  constructor(...signals: Deno.Signal[]) {
    this.#handlers = signals.map((signal) => [signal, () => this.signal = signal]);
    for (const [signal, handler] of this.#handlers) Deno.addSignalListener(signal, handler);
  }

  [Symbol.dispose](): void {
    for (const [signal, handler] of this.#handlers) Deno.removeSignalListener(signal, handler);
  }
}

function exitStatus({ code, signal }: Deno.CommandStatus): number {
  if (signal) throw new Error(`Cannot start the daemon: ${signal} ended it before it was ready`);
  if (code === 0) throw new Error("Cannot start the daemon: it was stopped before it was ready");
  return code;
}

async function stop(child: Deno.ChildProcess, end: Promise<unknown>): Promise<void> {
  const kill = (signal: Deno.Signal) => {
    try {
      child.kill(signal);
    } catch (error) {
      // It has ended by itself.
      if (!(error instanceof Deno.errors.NotFound || error instanceof TypeError)) throw error;
    }
  };
  kill("SIGTERM");
  await Promise.race([end, sleep(STOP_MS)]);
  kill("SIGKILL");
  await end;
}

/** Descriptors beyond 2 that a shell has left open stay with this process. */
function keepDescriptors(): void {
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      if (Number(name) > 2) libc.closeOnExec(Number(name));
    } catch {
      // That of the directory itself, which is closed by now.
    }
  }
}

/** Standard input, output and error, and the copies that Deno has made of them. */
function copiesOfStandardStreams(): number[] {
  const target = (fd: number) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return undefined;
    }
  };
  const standard = [0, 1, 2];
  const targets = standard.map(target).filter((path) => path !== undefined);
  const open = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => Number(name));
  const copies = open.filter((fd) => fd > 2 && targets.includes(target(fd)!));
  return [...standard, ...copies];
}

function redirectToNull(fds: number[]): void {
  const none = libc.open("/dev/null", libc.O_RDWR);
  for (const fd of fds) libc.dup2(none, fd);
  libc.close(none);
}
