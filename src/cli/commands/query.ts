import { isEnabled } from "../../views/status.ts";
import { print } from "../../output/print.ts";

/** Tells whether connections are accelerated. Returns the exit status: 0 enabled, 1 disabled. */
export function query({ pinDir }: { pinDir: string }): number {
  const enabled = isEnabled(pinDir);
  print(enabled ? "enabled\n" : "disabled\n");
  return enabled ? 0 : 1;
}
