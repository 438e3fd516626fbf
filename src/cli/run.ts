import { configureSync, getJsonLinesFormatter, type LogRecord } from "@logtape/logtape";
import { type DataPlaneOptions, runDataPlane } from "../plane/run.ts";
import { printError } from "./output.ts";

export interface RunOptions extends DataPlaneOptions {
  logFormat: "text" | "json";
}

/** Accelerates until a signal ends it. Returns the exit status. */
export async function run({ logFormat, ...options }: RunOptions): Promise<number> {
  const format = logFormat === "json" ? getJsonLinesFormatter() : formatText;
  configureSync({
    sinks: { stderr: (record) => printError(format(record)) },
    loggers: [
      { category: "mda", sinks: ["stderr"], lowestLevel: "info" },
      { category: ["logtape", "meta"], sinks: ["stderr"], lowestLevel: "warning" },
    ],
  });
  await runDataPlane(options);
  return 0;
}

/** No time: the journal and containers' runtimes write it themselves. */
function formatText({ level, message }: LogRecord): string {
  return `mda: ${level === "info" ? "" : `${level}: `}${message.join("")}\n`;
}
