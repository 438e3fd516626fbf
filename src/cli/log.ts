import { configureSync, getJsonLinesFormatter, getTextFormatter, type LogRecord } from "@logtape/logtape";
import { printError } from "./output.ts";

export const logFormats = ["text", "json"] as const;

export type LogFormat = typeof logFormats[number];

/** Sends what the layers below log to standard error: a line of text each, or of JSON. */
export function configureLog(format: LogFormat): void {
  const formatter = {
    text: getTextFormatter({
      timestamp: "rfc3339",
      level: "full",
      format: ({ timestamp, level, message }) => `${timestamp} ${level.toLowerCase()} ${message}`,
    }),
    json: getJsonLinesFormatter({ properties: "flatten" }),
  }[format];
  configureSync({
    sinks: { stderr: (record: LogRecord) => printError(formatter(record)) },
    loggers: [
      {
        category: "mda",
        lowestLevel: Deno.env.get("MDA_DEBUG") === "1" ? "debug" : "info",
        sinks: ["stderr"],
      },
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["stderr"] },
    ],
  });
}
