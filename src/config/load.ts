import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs";
import process from "node:process";
import { isShortage } from "../host/descriptors.ts";
import { errnoNumber, SystemError } from "../host/libc/errno.ts";
import { ConfigurationError } from "./mistakes.ts";
import { parse } from "./parse.ts";
import { fingerprint } from "../host/file_watch.ts";
import type { Rule } from "../rules/rules.ts";
import type { SetLines } from "./set_line.ts";
import { visible } from "../text/visible.ts";

/** The largest configuration file that is read. */
export const FILE_BYTES_MAX = 1024 * 1024;

const GROUP_OR_OTHERS_WRITE = 0o022;

/** What a file says. */
export interface Configuration {
  file: string;
  rules: Rule[];
  settings: SetLines;
  /** What the file was when it was read: see fingerprint(). */
  seen: string;
  /** Why none of it can be used; `settings` has what is in order nevertheless, for who has to say so. */
  error?: Error;
}

/**
 * Reads a configuration file. Symbolic links are followed, as a Kubernetes ConfigMap is made of them. That it cannot be read,
 * that somebody else could have written it, and its mistakes are the `error`, a ConfigurationError.
 */
export function readConfiguration(file: string): Configuration {
  const seen = fingerprint(file);
  try {
    const { rules, settings, mistakes } = parse(decode(file, read(file)));
    const error = mistakes.length > 0 ? new ConfigurationError(file, mistakes) : undefined;
    return { file, rules, settings, seen, error };
  } catch (error) {
    return { file, rules: [], settings: new Map(), seen, error: error as Error };
  }
}

/** The rules of a configuration file. Throws the error that {@link readConfiguration} returns. */
export function load(file: string): Rule[] {
  const { rules, error } = readConfiguration(file);
  if (error) throw error;
  return rules;
}

function read(file: string): Uint8Array {
  let fd: number | undefined;
  try {
    // Without O_NONBLOCK, opening a FIFO waits for somebody to write to it.
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    checkOwner(file, fstatSync(fd));
    const bytes = new Uint8Array(FILE_BYTES_MAX + 1);
    let length = 0;
    for (let count = -1; count !== 0 && length < bytes.length; length += count) {
      count = readSync(fd, bytes, length, bytes.length - length, null);
    }
    if (length > FILE_BYTES_MAX) {
      throw cannot(file, `it is over ${FILE_BYTES_MAX} bytes, is it the right file?`);
    }
    return bytes.subarray(0, length);
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    // No mistake in the file: the next try may read it.
    if (isShortage(error)) {
      throw new SystemError(`read configuration ${visible(file)}`, errnoNumber(error.code));
    }
    throw cannot(file, explain(error as NodeJS.ErrnoException));
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Who may write the rules decides what is accelerated on this host. */
function checkOwner(file: string, status: Stats): void {
  if (status.isDirectory()) throw cannot(file, "it is a directory, name the file in it");
  if (!status.isFile()) throw cannot(file, "it is a FIFO, device or socket and not a file");
  if (status.mode & GROUP_OR_OTHERS_WRITE) {
    const mode = (status.mode & 0o7777).toString(8).padStart(4, "0");
    const remedy = `chmod go-w ${visible(file)}`;
    throw cannot(file, `others than its owner may write to it (mode ${mode}), correct that with: ${remedy}`);
  }
  if (process.geteuid!() === 0 && status.uid !== 0) {
    const remedy = `chown root ${visible(file)}`;
    throw cannot(file, `it belongs to uid ${status.uid} and not to root, correct that with: ${remedy}`);
  }
}

function decode(file: string, bytes: Uint8Array): string {
  const mark = bytes[0] << 8 | bytes[1];
  if (mark === 0xfeff || mark === 0xfffe) throw cannot(file, "it is UTF-16 text, save it as UTF-8");
  // What is not UTF-8 becomes U+FFFD: harmless in a comment, a mistake with its place in a rule.
  return new TextDecoder().decode(bytes);
}

function explain(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case "ENOENT":
      return "there is no such file (ENOENT); an empty one accelerates every local connection";
    case "EACCES":
      return "permission denied (EACCES), run as root or make it readable";
    case "ENOTDIR":
      return "a part of its path is not a directory (ENOTDIR)";
    case "ELOOP":
      return "its symbolic links lead nowhere (ELOOP)";
    case "ENAMETOOLONG":
      return "its name is too long (ENAMETOOLONG)";
    default:
      return visible(error.message);
  }
}

function cannot(file: string, why: string): ConfigurationError {
  return new ConfigurationError(file, `Cannot read configuration ${visible(file)}: ${why}`);
}
