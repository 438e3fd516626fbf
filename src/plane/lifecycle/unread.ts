import { ROOT_CGROUP } from "../../host/cgroup.ts";
import { checkHost } from "../../host/kernel.ts";
import * as libc from "../../host/libc/mod.ts";
import { processName } from "../../host/process.ts";
import { changeControl } from "../../state/control.ts";
import { probeKernel } from "../../checks/features.ts";
import { useForeignSocket } from "../sockets/foreign_socket.ts";
import { loadDataPlane } from "../object.ts";
import type { Retired } from "./retired.ts";
import { findMembers, scanDescriptors, type ScannedSocket } from "../sockets/scan.ts";

/** How long the ends of connections that were reset may take to leave. */
const SETTLE_MS = 100;

/** A connection that is reset, and what its reader does not get. */
export interface Loss {
  reader: ScannedSocket;
  /** The reader's program; undefined when it has gone. */
  program: string | undefined;
  unreadBytes: number;
}

/**
 * Resets the connections whose redirected bytes are not read: their programs are told ECONNRESET, as by a peer's reset, and
 * miss no byte without knowing.
 *
 * @param keys of sockets in the sockhash
 * @param onLoss is told of each connection, before that
 * @returns how many sockets still stay, because nobody who has them open can be seen
 */
export async function resetUnread(
  keys: Uint8Array<ArrayBuffer>[],
  retired: Retired,
  onLoss: (loss: Loss) => void,
): Promise<number> {
  if (keys.length === 0) return 0;
  checkHost();
  const keyOf = new Map(keys.map((key) => [retired.cookieOf(key), key]));
  for (const reader of allMembers()) {
    const key = keyOf.get(reader.cookie);
    if (!key || reader.unread_bytes === 0n) continue;
    onLoss({ reader, program: processName(reader.pid), unreadBytes: Number(reader.unread_bytes) });
    if (!useForeignSocket(reader, libc.resetConnection)) continue;
    // A socket may have several descriptors.
    keyOf.delete(reader.cookie);
    // A socket that is reset stays in its sockmap until it is closed.
    retired.remove(key);
  }
  // The senders' ends have nothing unread.
  return (await retired.drain(SETTLE_MS)).length;
}

/** All sockets of this host that are in a sockmap, as far as their processes can be seen. */
function allMembers(): ScannedSocket[] {
  const features = probeKernel();
  if (!features.iterates_files) return [];
  using object = loadDataPlane({ features, allSockets: true, unknownPrograms: "learn", maxConnections: 1 });
  changeControl(object.map("control"), { cgroup_id: ROOT_CGROUP });
  return findMembers(scanDescriptors(object, { members: true }));
}
