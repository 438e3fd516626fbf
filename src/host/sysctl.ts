import { readText } from "./read.ts";

/** A sysctl that is a number, of this network namespace where it is one of those; undefined where it is not there. */
export function readSysctl(name: string): number | undefined {
  const text = readText(`/proc/sys/${name.replaceAll(".", "/")}`)?.trim() ?? "";
  return /^-?\d+$/.test(text) ? Number(text) : undefined;
}
