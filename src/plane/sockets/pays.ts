import { enums } from "../../generated/layouts.ts";
import type { ScannedSocket } from "./scan.ts";

const { HABIT_UNKNOWN, HABIT_RECEIVES } = enums.habit;
const { LEAVE_BULK, LEAVE_WITH_PEER } = enums.leave;

/** Half of what makes a socket leave (BULK_BYTES, bpf/bulk.h), so that nothing goes in and out. */
const SMALL_BYTES = 12 * 1024;
/** Of a connection that has left as bulk, as many messages at least tell what it sends now. */
const SEGMENTS_MIN = 8;
/** Segments shorter than this part of the largest possible end with a message. */
const WHOLE_SEGMENT = 0.75;

/** Whether the programs at both ends use their sockets in ways that sockmap can serve, as far as is known. */
export function canServe(...ends: ScannedSocket[]): boolean {
  return ends.every(({ habit }) => habit <= HABIT_RECEIVES);
}

export function areKnown(...ends: ScannedSocket[]): boolean {
  return ends.every(({ habit }) => habit !== HABIT_UNKNOWN);
}

/** Whether a connection that has left as bulk sends small messages now. */
export function pays(client: ScannedSocket, server: ScannedSocket): boolean {
  const bulk = [client, server].some(({ left }) => left === LEAVE_BULK) ||
    // The end that knows more has been forgotten.
    [client, server].every(({ left }) => left === LEAVE_WITH_PEER || left === 0) &&
      client.left + server.left > 0;
  if (!bulk) return true;
  return client.recent_segments + server.recent_segments >= SEGMENTS_MIN &&
    messageBytes(client, server) < SMALL_BYTES && messageBytes(server, client) < SMALL_BYTES;
}

/** The mean of a socket's last messages, as far as segments tell; 0 when it sent none. */
function messageBytes(sender: ScannedSocket, answerer: ScannedSocket): number {
  if (sender.recent_segments === 0) return 0;
  if (isShort(sender)) return sender.recent_bytes / sender.recent_segments;
  // Whole segments are parts of longer messages. If the other end sends short ones, these are its answers.
  if (isShort(answerer) && answerer.recent_segments > 0) {
    return sender.recent_bytes / answerer.recent_segments;
  }
  return Infinity;
}

function isShort({ recent_bytes, recent_segments, mss }: ScannedSocket): boolean {
  return recent_bytes < recent_segments * mss * WHOLE_SEGMENT;
}
