import { SystemError } from "./libc/errno.ts";
import * as libc from "./libc/mod.ts";

/** More than a record has (PRINTKRB_RECORD_MAX), and more records than the kernel keeps. */
const RECORD_BYTES = 8192;
const RECORDS_MAX = 100_000;

/**
 * The lines of the kernel's log, oldest first, each after its time in seconds since the boot.
 *
 * @throws SystemError when this process may not read it
 */
export function readKernelLog(): string[] {
  const fd = libc.open("/dev/kmsg", libc.O_RDONLY | libc.O_NONBLOCK);
  const lines: string[] = [];
  const buffer = new Uint8Array(RECORD_BYTES);
  try {
    for (let count = 0; count < RECORDS_MAX; count++) {
      try {
        const record = new TextDecoder().decode(buffer.subarray(0, libc.read(fd, buffer)));
        // `6,339,5140900,-;text`, and lines with what it is about
        const [, us, text] = /^\d+,\d+,(\d+),[^;]*;([^\n]*)/.exec(record) ?? [];
        if (text !== undefined) lines.push(`[${(Number(us) / 1e6).toFixed(6).padStart(12)}] ${text}`);
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        // Overwritten before it was read.
        if (error.code === "EPIPE") continue;
        if (error.code === "EAGAIN") break;
        throw error;
      }
    }
    return lines;
  } finally {
    libc.close(fd);
  }
}
