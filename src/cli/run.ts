import { type DataPlaneOptions, runDataPlane, type Supervisor } from "../plane/run.ts";
import { configureLog, type LogFormat } from "./log.ts";

export interface RunOptions extends DataPlaneOptions {
  logFormat: LogFormat;
}

const nobody: Supervisor = { ready() {}, reloading() {}, stopping() {}, alive() {}, aliveMs: undefined };

/** Accelerates until a signal ends it. Returns the exit status. */
export async function run({ logFormat, ...options }: RunOptions): Promise<number> {
  configureLog(logFormat);
  await runDataPlane(options, nobody);
  return 0;
}
