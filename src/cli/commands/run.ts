import { resolve } from "node:path";
import { Daemon, startDaemon } from "../../host/daemon.ts";
import { checkDescriptors } from "../../host/descriptors.ts";
import { Journal } from "../../host/journal.ts";
import { Notifier } from "../../host/notify.ts";
import { Signals } from "../../host/signals.ts";
import { createPidFile } from "../../host/pid_file.ts";
import type { MetricsAddress } from "../../http/address.ts";
import type { MetricsServer } from "../../http/server.ts";
import type { WebAddress } from "../../web/address.ts";
import type { WebServer } from "../../web/server.ts";
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
  /** Where to serve the page, and the file with its token. */
  web?: WebAddress;
  webTokenFile?: string;
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
  const { config, cgroup, pinDir, pidFile = defaults.pidFile, webTokenFile } = options;
  const absolute = {
    config: resolve(config),
    cgroup: cgroup && resolve(cgroup),
    pinDir: resolve(pinDir),
    pidFile: resolve(pidFile),
    webTokenFile: webTokenFile && resolve(webTokenFile),
  };
  // It must not keep a filesystem from being unmounted.
  Deno.chdir("/");
  return await runHere({ ...options, ...absolute }, daemon);
}

async function runHere(
  { pidFile, metrics, web, webTokenFile, ...options }: RunOptions,
  supervisor: Supervisor,
): Promise<number> {
  checkDescriptors();
  const signals = new Signals(reopenLog);
  using _pidFile = pidFile ? createPidFile(pidFile) : undefined;
  // What listens is there before anything is attached: a port in use changes nothing.
  using server = metrics && await serveMetrics(metrics, options.pinDir);
  using page = web && await servePage(web, webTokenFile, options);
  const told = [server, page].filter((told) => told !== undefined);
  await runDataPlane(options, told.length > 0 ? tellingAll(supervisor, told) : supervisor, signals);
  return 0;
}

async function serveMetrics(address: MetricsAddress, pinDir: string): Promise<MetricsServer> {
  const { MetricsServer } = await import("../../http/server.ts");
  return new MetricsServer(address, pinDir);
}

async function servePage(
  address: WebAddress,
  tokenFile: string | undefined,
  { pinDir, config }: DataPlaneOptions,
): Promise<WebServer> {
  const { WebServer } = await import("../../web/server.ts");
  const { Token } = await import("../../web/token.ts");
  const token = tokenFile === undefined ? undefined : Token.read(tokenFile);
  return new WebServer(address, { pinDir, config: resolve(config), token });
}

function tellingAll(
  supervisor: Supervisor,
  servers: { ready(): void; reloaded(success: boolean): void; stopping(): void }[],
): Supervisor {
  return {
    ready(status) {
      for (const server of servers) server.ready();
      supervisor.ready(status);
    },
    reloading: () => supervisor.reloading(),
    reloaded: (success) => servers.forEach((server) => server.reloaded(success)),
    stopping() {
      for (const server of servers) server.stopping();
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
