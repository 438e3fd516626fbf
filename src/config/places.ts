/** Whether what a value names is there: looked at when the file is used, and never when it is only read. */
import { basename, dirname, join } from "node:path";
import type { ListenAddress } from "../host/listen_address.ts";
import { listenerOf, tryToListen } from "../host/listeners.ts";
import { closest } from "../text/closest.ts";
import { visible } from "../text/visible.ts";
import type { Setting } from "./settings.ts";

/**
 * What is wrong with the place that a value names: it is not there, or somebody else listens there.
 *
 * @param mayBeOurs an mda that listens there is nobody else
 */
export function findMisplaced(
  { place, listens }: Setting<unknown>,
  value: unknown,
  mayBeOurs: boolean,
): string | undefined {
  if (listens) return explainPort(value as ListenAddress, mayBeOurs);
  if (place === undefined) return undefined;
  const path = value as string;
  if (place === "directory") return explainDirectory(path);
  if (place === "file") return explainFile(path);
  // bpffs may not be mounted yet; it is then said by who mounts it.
  return explainDirectory(dirname(path));
}

function explainDirectory(path: string): string | undefined {
  try {
    return Deno.statSync(path).isDirectory ? undefined : `${visible(path)} is not a directory`;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) return undefined;
    const near = nearest(path);
    return `there is no directory ${visible(path)}${near ? `: did you mean ${visible(near)}?` : " (ENOENT)"}`;
  }
}

function explainFile(path: string): string | undefined {
  try {
    return Deno.statSync(path).isFile ? undefined : `${visible(path)} is not a file`;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) return undefined;
    const near = nearest(path);
    return `there is no file ${visible(path)}${near ? `: did you mean ${visible(near)}?` : " (ENOENT)"}`;
  }
}

function nearest(path: string): string | undefined {
  const parent = dirname(path);
  try {
    const near = closest(basename(path), [...Deno.readDirSync(parent)].map(({ name }) => name));
    return near && join(parent, near);
  } catch {
    return undefined;
  }
}

function explainPort(address: ListenAddress, mayBeOurs: boolean): string | undefined {
  const why = tryToListen(address);
  if (why === "no address") return "this host does not have the address; :PORT is all addresses";
  if (why !== "in use") return undefined;
  const owner = listenerOf(address.port);
  if (owner && (owner.pid === Deno.pid || (mayBeOurs && owner.name === "mda"))) return undefined;
  return `port ${address.port} is in use${owner ? ` by process ${owner.pid} (${owner.name})` : ""}`;
}
