import * as libc from "./libc/mod.ts";

const socketPath = "/run/systemd/journal/socket";

/** More would need a memory file, and is no line of a log. */
const VALUE_BYTES_MAX = 64 * 1024;

/** The priorities of syslog(3) that mda logs with, of which the lower number is the more urgent one. */
export const priorities = { critical: 2, error: 3, warning: 4, info: 6, debug: 7 } as const;

export type Priority = typeof priorities[keyof typeof priorities];

/** The systemd journal, by its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL). */
export class Journal implements Disposable {
  readonly #fd = libc.socket(libc.AF_UNIX, libc.SOCK_DGRAM);

  /** Whether this host has one. */
  static isThere(): boolean {
    try {
      return Deno.statSync(socketPath).isSocket === true;
    } catch {
      return false;
    }
  }

  /** @throws SystemError when the journal is gone, or does not keep up */
  send(priority: Priority, message: string): void {
    const fields = { MESSAGE: message, PRIORITY: String(priority), SYSLOG_IDENTIFIER: "mda" };
    const parts = Object.entries(fields).map(([name, value]) => encodeField(name, value));
    const bytes = new Uint8Array(parts.flatMap((part) => [...part]));
    libc.sendToUnix(this.#fd, bytes, socketPath, libc.MSG_DONTWAIT);
  }

  [Symbol.dispose](): void {
    libc.close(this.#fd);
  }
}

/** `NAME=value`, or for a value of several lines the name, a newline, the length in 64 bits and the value. */
function encodeField(name: string, text: string): Uint8Array {
  const value = new TextEncoder().encode(text).subarray(0, VALUE_BYTES_MAX);
  const length = new Uint8Array(new BigUint64Array([BigInt(value.length)]).buffer);
  const begin = new TextEncoder().encode(text.includes("\n") ? `${name}\n` : `${name}=`);
  return new Uint8Array([...begin, ...text.includes("\n") ? length : [], ...value, 10]);
}

/** Whether standard error goes to the journal, which then reads a priority at a line's start: `<4>` (sd-daemon(3)). */
export function isStderrJournal(): boolean {
  const stream = Deno.env.get("JOURNAL_STREAM");
  if (!stream) return false;
  try {
    const { dev, ino } = Deno.statSync("/proc/self/fd/2");
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

/** The text with the priority at the start of each of its lines, and one newline at its end. */
export function prefixLines(priority: Priority, text: string): string {
  return text.replace(/\n+$/, "").split("\n").map((line) => `<${priority}>${line}\n`).join("");
}
