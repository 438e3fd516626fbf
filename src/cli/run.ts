import { type DataPlaneOptions, runDataPlane } from "../plane/run.ts";
import { configureLog, type LogFormat } from "./log.ts";

export interface RunOptions extends DataPlaneOptions {
  logFormat: LogFormat;
}

/** Accelerates until a signal ends it. Returns the exit status. */
export async function run({ logFormat, ...options }: RunOptions): Promise<number> {
  configureLog(logFormat);
  await runDataPlane(options);
  return 0;
}
