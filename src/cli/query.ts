import { readStatus } from "../plane/status.ts";
import { print } from "./output.ts";

/** Tells whether connections are accelerated. Returns the exit status: 0 enabled, 1 disabled. */
export function query({ pinDir }: { pinDir: string }): number {
  const { enabled } = readStatus(pinDir);
  print(enabled ? "enabled\n" : "disabled\n");
  return enabled ? 0 : 1;
}
