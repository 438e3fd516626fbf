import {
  configureSync,
  getJsonLinesFormatter,
  getLogger,
  getTextFormatter,
  type LogLevel,
  type LogRecord,
} from "@logtape/logtape";
import { priorities, type Priority } from "../host/journal.ts";
import { type LogDestination, StandardError } from "./destination.ts";
import { printError, setFailureOutputs } from "../output/print.ts";
import { plural } from "../text/plural.ts";

export const logFormats = ["text", "json"] as const;

export type LogFormat = typeof logFormats[number];

export type LeastLevel = "debug" | "info" | "warning" | "error";

const priorityOf: Record<LogLevel, Priority> = {
  trace: priorities.debug,
  debug: priorities.debug,
  info: priorities.info,
  warning: priorities.warning,
  error: priorities.error,
  fatal: priorities.critical,
};

const log = getLogger("mda");

let destination: LogDestination | undefined;

/** Sends what the layers below log to a destination, from a level on: as text, or a line of JSON each. */
export function configureLog(
  format: LogFormat,
  to: LogDestination = new StandardError(),
  level: LeastLevel = "info",
): void {
  destination = to;
  to.onRecovery = (lost, why) =>
    log.warn(`before this, ${plural(lost, "message")} could not be written to the log: ${why}`);
  const formatter = {
    text: getTextFormatter({
      timestamp: "rfc3339",
      level: "full",
      format: ({ timestamp, level, message }) =>
        to.annotates ? message : `${timestamp} ${level.toLowerCase()} ${message}`,
    }),
    json: getJsonLinesFormatter({ properties: "flatten" }),
  }[format];
  const sink = (record: LogRecord) =>
    to.write(priorityOf[record.level], formatter(verbatim(record)).trimEnd());
  configureSync({
    sinks: { destination: sink },
    loggers: [
      {
        category: "mda",
        lowestLevel: Deno.env.get("MDA_DEBUG") === "1" ? "debug" : level,
        sinks: ["destination"],
      },
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["destination"] },
    ],
    reset: true,
  });
  const logFailure = (text: string) => log.fatal(text.replace(/^mda: /, ""));
  if (!(to instanceof StandardError)) setFailureOutputs(printError, logFailure);
  else if (to.annotates) setFailureOutputs(logFailure);
}

/** Logs as another format and from another level on, where it has logged until now. */
export function changeLog(format: LogFormat, level: LeastLevel): void {
  configureLog(format, destination, level);
}

/** Opens the log's file again, when it has one: logrotate moves it away and sends SIGHUP. */
export function reopenLog(): void {
  try {
    destination?.reopen();
  } catch (error) {
    log.error(`${(error as Error).message}; what is logged goes on to the file that was open`);
  }
}

/** mda's own messages are text; what looks like a placeholder in one (`{name}`) is part of somebody's configuration. */
function verbatim(record: LogRecord): LogRecord {
  return record.category[0] === "mda" ? { ...record, message: [String(record.rawMessage)] } : record;
}
