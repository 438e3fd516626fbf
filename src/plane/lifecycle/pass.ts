import { setTimeout as sleep } from "node:timers/promises";
import { enums } from "../../generated/layouts.ts";
import { pinDirectoryHolder } from "../../host/lock.ts";
import type { Rule } from "../../rules/rules.ts";
import { lockOrFindRunning } from "../../state/holder.ts";
import { readInstance } from "../../state/instance.ts";
import { PassLease, RENEW_MS } from "../../state/pass_requests.ts";
import { unknownName } from "../../state/programs.ts";
import { type Connection, readConnections } from "../../views/connections.ts";
import { Lister } from "../../views/lister.ts";
import { askToLeave } from "../sockets/leave.ts";
import { releaseLeaving } from "../sockets/release.ts";
import { adoptHere } from "./adopt_here.ts";

/** How soon again while connections that are to leave have bytes unread. */
const AGAIN_MS = 50;

export interface PassOptions {
  pinDir: string;
  /** What matches it, at either end, goes by TCP. */
  rule: Rule;
  /** The same of connections that are there. */
  matches(connection: Connection): boolean;
  /** What was asked for, for those who look. */
  words: string;
  /** When it ends, in ms since 1970; when `signal` says so if absent. */
  endsMs?: number;
  signal: AbortSignal;
  /** All connections that were there are on TCP; `count` of them have left for it. */
  onTcp(count: number): void;
}

/**
 * Has connections on TCP for a while: new ones start there, those that are redirected leave. Afterwards they are taken back, by the
 * process that runs the data plane, or by this one where it is left to itself.
 */
export async function passConnections(options: PassOptions): Promise<void> {
  const { pinDir, rule, matches, words, endsMs, signal, onTcp } = options;
  using lister = new Lister(pinDir, ["ask_to_leave", "drain"]);
  const { object } = lister;
  {
    using lease = new PassLease(object, rule, { words, pid: Deno.pid, endsMs: endsMs ?? null });
    const asked = new Set<string>();
    let told = false, renewed = performance.now();
    while (!signal.aborted && (endsMs === undefined || Date.now() < endsMs)) {
      if (performance.now() - renewed >= RENEW_MS) {
        lease.renew();
        renewed = performance.now();
      }
      const inside = readConnections(lister, { all: false })
        .filter((connection) => hasClient(connection) && matches(connection));
      for (const { id, state } of inside) {
        if (state === "leaving") continue;
        askToLeave(object, BigInt(id) << 1n, enums.leave.LEAVE_ON_REQUEST);
        asked.add(id);
      }
      // Where no process does.
      if (pinDirectoryHolder(pinDir) === undefined) releaseLeaving(object);
      if (inside.length === 0 && !told) {
        told = true;
        onTcp(asked.size);
      }
      const left = (endsMs ?? Infinity) - Date.now();
      await sleep(Math.max(0, Math.min(inside.length > 0 ? AGAIN_MS : RENEW_MS / 2, left)), undefined, {
        signal,
      }).catch(() => {});
    }
  }
  await takeBack(lister, pinDir);
}

/** A server whose client is gone has nobody to exchange messages with; and it is the client that is asked to leave. */
function hasClient({ client }: Connection): boolean {
  return client.redirected !== null;
}

/** Who runs the data plane adopts again and again; where nobody does it is done once. */
async function takeBack(lister: Lister, pinDir: string): Promise<void> {
  const held = await lockOrFindRunning(pinDir, RENEW_MS);
  if (!held || "pid" in held) return;
  using _lock = held;
  const { all_sockets, unknown_programs } = readInstance(lister.map("instance"));
  await adoptHere(pinDir, {
    reapply: false,
    allSockets: all_sockets !== 0,
    unknownPrograms: unknownName(unknown_programs),
  });
}
