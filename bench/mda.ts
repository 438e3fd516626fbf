import { fileURLToPath } from "node:url";
import type { Status } from "../src/plane/status.ts";
import { type Lab, sleep, spawn, tryKill } from "./lab.ts";

const READY_MS = 20_000;
const STOP_MS = 10_000;
const binary = fileURLToPath(new URL("../dist/mda", import.meta.url));

/** `mda run`, being ready. */
export interface RunningMda {
  pid: number;
  /** From its start until it said that it is ready. */
  readyMs: number;
  pinDir: string;
  status(): Promise<Status>;
  /** Stops it with SIGTERM; an Error when it does not stop in order. Once is enough. */
  stop(): Promise<void>;
}

/** Starts the built binary for a cgroup, without rules; the caller stops it. */
export async function startMda(lab: Lab, cgroup: string, name: string): Promise<RunningMda> {
  const pinDir = `/sys/fs/bpf/${lab.name}-${name}`;
  const config = `${lab.directory}/${name}.conf`;
  Deno.writeTextFileSync(config, "");
  const command = [binary, "--pin-dir", pinDir, "run", "--config", config, "--cgroup", cgroup];
  const started = performance.now();
  const child = spawn(undefined, command, "piped");
  const log = followLog(child);
  let stopped: Promise<void> | undefined;
  const stop = () => stopped ??= stopMda(child, log);
  try {
    await log.wait(" ready: ", READY_MS, lab.interrupted);
  } catch (error) {
    // Before it is ready SIGTERM may just end it, which is in order then.
    await stop().catch(() => {});
    throw error;
  }
  return {
    pid: child.pid,
    readyMs: performance.now() - started,
    pinDir,
    stop,
    async status() {
      const { stdout } = await lab.run(undefined, [binary, "--pin-dir", pinDir, "status", "-o", "json"]);
      return JSON.parse(stdout);
    },
  };
}

async function stopMda(child: Deno.ChildProcess, log: Log): Promise<void> {
  tryKill(child, "SIGTERM");
  const timer = setTimeout(() => tryKill(child, "SIGKILL"), STOP_MS);
  const { code } = await child.status;
  clearTimeout(timer);
  if (code !== 0) throw new Error(`Cannot stop mda in order: it exited with ${code}\n${log.text()}`);
}

interface Log {
  text(): string;
  wait(what: string, timeoutMs: number, interrupted: AbortSignal): Promise<void>;
}

function followLog(child: Deno.ChildProcess): Log {
  let text = "", ended = false;
  let grown = () => {};
  const read = async () => {
    for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      grown();
    }
    ended = true;
    grown();
  };
  read();
  child.stdout.cancel();
  return {
    text: () => text,
    async wait(what, timeoutMs, interrupted) {
      for (const end = Date.now() + timeoutMs; !text.includes(what);) {
        interrupted.throwIfAborted();
        if (ended || Date.now() > end) throw new Error(`Cannot start mda: it did not say "${what}"\n${text}`);
        await Promise.race([new Promise<void>((resolve) => grown = resolve), sleep(100)]);
      }
    },
  };
}
