import { resolve } from "node:path";
import { inForce, type Said } from "../../config/in_force.ts";
import {
  daemonPidFile,
  settingNames,
  settingOf,
  type Settings,
  type SomeSettings,
} from "../../config/settings.ts";
import { Daemon, startDaemon } from "../../host/daemon.ts";
import { checkDescriptors } from "../../host/descriptors.ts";
import { Journal } from "../../host/journal.ts";
import { Notifier } from "../../host/notify.ts";
import { Signals } from "../../host/signals.ts";
import { createPidFile } from "../../host/pid_file.ts";
import { runDataPlane } from "../../plane/lifecycle/run.ts";
import type { Supervisor } from "../../plane/lifecycle/supervisor.ts";
import { configureLog, reopenLog } from "../../log/log.ts";
import {
  CopiedLog,
  JournalDestination,
  type LogDestination,
  LogFile,
  StandardError,
} from "../../log/destination.ts";
import { Serving } from "./serving.ts";

/** Accelerates until a signal ends it. Returns the exit status. */
export async function run(options: Settings & { config: string }, said: Said): Promise<number> {
  // First: a daemon reads the file as it is then, and its log has what is wrong with it.
  const daemon = Daemon.self();
  const { configuration } = said;
  // Who waits for READY=1 keeps this process, and a file that says daemon is for all others.
  const isKept = said.held.from.mode === "file" && Deno.env.get("NOTIFY_SOCKET");
  if (!daemon && options.mode === "daemon" && !isKept) return await startDaemon();
  const given = daemon ? absolute(said.given) : said.given;
  const { values, error } = inForce(configuration, given);
  const held = daemon ? { ...values, ...absolute(values) } : values;
  const { logFile, logFormat, logLevel, pinDir, pidFile = daemon && daemonPidFile } = held;
  if (daemon) {
    const log = new CopiedLog(daemonLog(logFile, error), new StandardError());
    daemon.beforeReady = () => log.endCopy();
    configureLog(logFormat, log, logLevel);
  } else {
    configureLog(logFormat, logFile === undefined ? undefined : new LogFile(logFile), logLevel);
  }
  if (error) throw error;
  configuration.file = resolve(configuration.file);
  // A daemon must not keep a filesystem from being unmounted.
  if (daemon) Deno.chdir("/");
  using notifier = daemon ? undefined : new Notifier();
  return await runHere({ ...held, pinDir, pidFile }, { configuration, given }, daemon ?? notifier!);
}

async function runHere(
  { pidFile, metrics, web, webTokenFile, ...options }: Settings,
  { configuration, given }: Pick<Said, "configuration" | "given">,
  supervisor: Supervisor,
): Promise<number> {
  checkDescriptors();
  const signals = new Signals(reopenLog);
  using _pidFile = pidFile ? createPidFile(pidFile) : undefined;
  // What listens is there before anything is attached: a port in use changes nothing.
  using serving = new Serving(supervisor, configuration.file, options.pinDir);
  await serving.serve({ metrics, web, webTokenFile });
  await runDataPlane({ ...options, configuration, given }, serving, signals);
  return 0;
}

/** With the paths as they are from everywhere. */
function absolute<T extends SomeSettings>(values: T): T {
  const paths = settingNames.filter((name) => settingOf(name).place && values[name] !== undefined);
  return { ...values, ...Object.fromEntries(paths.map((name) => [name, resolve(values[name] as string)])) };
}

/** @param error what is to be said in any case, wherever it can be */
function daemonLog(file: string | undefined, error: Error | undefined): LogDestination {
  if (file !== undefined) return new LogFile(file);
  if (Journal.isThere()) return new JournalDestination();
  if (error) throw error;
  throw new Error("Cannot log: this host has no systemd journal; name a file with --log-file");
}
