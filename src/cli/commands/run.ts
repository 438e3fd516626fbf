import { resolve } from "node:path";
import { Daemon, startDaemon } from "../../host/daemon.ts";
import { checkDescriptors } from "../../host/descriptors.ts";
import { Journal } from "../../host/journal.ts";
import { Notifier } from "../../host/notify.ts";
import { Signals } from "../../host/signals.ts";
import { createPidFile } from "../../host/pid_file.ts";
import type { MetricsAddress } from "../../http/address.ts";
import type { MetricsServer } from "../../http/server.ts";
import { type DataPlaneOptions, runDataPlane, type Supervisor } from "../../plane/lifecycle/run.ts";
import { defaults } from "../../config/defaults.ts";
import { configureLog, type LogFormat, reopenLog } from "../../log/log.ts";
import {
  CopiedLog,
  JournalDestination,
  type LogDestination,
  LogFile,
  StandardError,
} from "../../log/destination.ts";

export interface RunOptions extends DataPlaneOptions {
  /** Whether to return when connections are accelerated, and leave that to a process in the background. */
  daemon?: boolean;
  pidFile?: string;
  /** Where to log; standard error when absent, and for a daemon the journal. */
  logFile?: string;
  logFormat: LogFormat;
  /** Where to serve metrics; nowhere when absent. */
  metrics?: MetricsAddress;
}

/** Accelerates until a signal ends it. Returns the exit status. */
export async function run(options: RunOptions): Promise<number> {
  if (!options.daemon) {
    configureLog(options.logFormat, options.logFile ? new LogFile(options.logFile) : undefined);
    using notifier = new Notifier();
    return await runHere(options, notifier);
  }
  const daemon = Daemon.self();
  if (!daemon) return await startDaemon();
  const log = new CopiedLog(daemonLog(options.logFile), new StandardError());
  daemon.beforeReady = () => log.endCopy();
  configureLog(options.logFormat, log);
  const { config, cgroup, pinDir, pidFile = defaults.pidFile } = options;
  const absolute = {
    config: resolve(config),
    cgroup: cgroup && resolve(cgroup),
    pinDir: resolve(pinDir),
    pidFile: resolve(pidFile),
  };
  // It must not keep a filesystem from being unmounted.
  Deno.chdir("/");
  return await runHere({ ...options, ...absolute }, daemon);
}

async function runHere(
  { pidFile, metrics, ...options }: RunOptions,
  supervisor: Supervisor,
): Promise<number> {
  checkDescriptors();
  const signals = new Signals(reopenLog);
  using _pidFile = pidFile ? createPidFile(pidFile) : undefined;
  // What listens is there before anything is attached: a port in use changes nothing.
  using server = metrics && await serveMetrics(metrics, options.pinDir);
  await runDataPlane(options, server ? tellingBoth(supervisor, server) : supervisor, signals);
  return 0;
}

async function serveMetrics(address: MetricsAddress, pinDir: string): Promise<MetricsServer> {
  const { MetricsServer } = await import("../../http/server.ts");
  return new MetricsServer(address, pinDir);
}

function tellingBoth(supervisor: Supervisor, server: MetricsServer): Supervisor {
  return {
    ready(status) {
      server.ready();
      supervisor.ready(status);
    },
    reloading: () => supervisor.reloading(),
    reloaded: (success) => server.reloaded(success),
    stopping() {
      server.stopping();
      supervisor.stopping();
    },
    alive: () => supervisor.alive(),
    aliveMs: supervisor.aliveMs,
  };
}

function daemonLog(file: string | undefined): LogDestination {
  if (file !== undefined) return new LogFile(resolve(file));
  if (Journal.isThere()) return new JournalDestination();
  throw new Error("Cannot log: this host has no systemd journal; name a file with --log-file");
}
