/** `mda run` as a service: with files in a directory of the test's own, and processes in a cgroup of it. */
import { identifyProcess, isRunning, type ProcessIdentity } from "../../../src/host/process.ts";
import { createCgroup } from "../../lab/cgroup.ts";
import { newPinDir, pinsOf, statusOf } from "../../lab/mda.ts";
import { type Program, start } from "../../lab/program.ts";
import { waitFor } from "../../lab/wait.ts";
import { binary, execute, type Output, TemporaryDirectory } from "./mda.ts";

/** Files, a cgroup to accelerate and a pin directory. `await using` ends what was started here and removes all of it. */
export class Service implements AsyncDisposable {
  readonly directory = new TemporaryDirectory();
  readonly cgroup = createCgroup("accelerated");
  /** Everything that was started here, also what has left its parent. */
  readonly processes = createCgroup("service");
  readonly pinDir = newPinDir();
  readonly config = this.directory.write("mda.conf", "chain -p 80\n");
  readonly pidFile = `${this.directory.path}/mda.pid`;
  readonly logFile = `${this.directory.path}/mda.log`;

  /** The command line of `mda run` on this service's cgroup, configuration and pins. */
  argv(...args: string[]): string[] {
    const own = ["--config", this.config, "--cgroup", this.cgroup.path, "--pin-dir", this.pinDir];
    return [binary, "run", ...own, ...args];
  }

  /** As argv(), for a daemon with this service's log and PID file. */
  daemonArgv(...args: string[]): string[] {
    return this.argv("--daemon", "--log-file", this.logFile, "--pid-file", this.pidFile, ...args);
  }

  start(argv: string[], env: Record<string, string> = {}): Program {
    return start({ cgroup: this.processes }, argv, { env });
  }

  run(argv: string[], env: Record<string, string> = {}): Promise<Output> {
    return execute(argv, env, { cgroup: this.processes });
  }

  /** The process that the PID file names, which must run. */
  daemon(pidFile = this.pidFile): ProcessIdentity {
    const text = Deno.readTextFileSync(pidFile);
    const process = /^\d+\n$/.test(text) && identifyProcess(Number(text));
    if (!process) throw new Error(`${pidFile} names no running process: ${JSON.stringify(text)}`);
    return process;
  }

  log(): string {
    return Deno.readTextFileSync(this.logFile);
  }

  /** Waits until something that matches is in the log. */
  async until(pattern: RegExp): Promise<void> {
    await waitFor(`${pattern} in the log`, () => exists(this.logFile) && pattern.test(this.log()));
  }

  async isEnabled(): Promise<boolean> {
    return (await statusOf(this.pinDir)).status.enabled;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.processes[Symbol.asyncDispose]();
    for (const name of pinsOf(this.pinDir) ?? []) Deno.removeSync(`${this.pinDir}/${name}`);
    if (pinsOf(this.pinDir)) Deno.removeSync(this.pinDir);
    await this.cgroup[Symbol.asyncDispose]();
    this.directory[Symbol.dispose]();
  }
}

function exists(path: string): boolean {
  try {
    return Deno.lstatSync(path) !== undefined;
  } catch {
    return false;
  }
}

/** What each descriptor of a process is: a path, or the like of `pipe:[1234]`. Those that are closed meanwhile are not in it. */
export function openFiles(pid: number): Map<number, string> {
  const files = new Map<number, string>();
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
    try {
      files.set(Number(name), Deno.readLinkSync(`/proc/${pid}/fd/${name}`));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return files;
}

/** Sends a signal and waits for the end of the process, which need not be a child of this one. */
export async function end(process: ProcessIdentity, signal: Deno.Signal = "SIGTERM"): Promise<void> {
  Deno.kill(process.pid, signal);
  await waitFor(`the end of process ${process.pid}`, () => !isRunning(process));
}

/** The command line that runs another one with a /run of its own, which is `directory`. */
export function withOwnRun(directory: string, argv: string[]): string[] {
  return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /run && exec "$@"', directory, ...argv];
}
