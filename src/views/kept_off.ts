import { reasons } from "../generated/reasons.ts";
import type { Status } from "./status.ts";
import { reasonNamed } from "./why.ts";

/** A reason that keeps traffic off, with what it means. */
export interface KeptOff {
  /** As `mda conns` names it: "refused blocking_client". */
  reason: string;
  /** Connections that were refused, sockets that have left, or messages that passed. */
  count: number;
  /** Of all of these: 0 to 1. */
  share: number;
  words: string;
  remedy: string;
}

/** What connections end with, what only follows from another reason, and a message a second keep nothing off. */
const others: { [G in keyof typeof reasons]: (keyof typeof reasons[G])[] } = {
  refused: [],
  left: ["half_closed", "closed", "with_peer"],
  passed: ["leaving", "closing", "stopping", "refresh", "acknowledging", "peer_left"],
};

/** The reasons that keep most off, those with the largest share first. */
export function keptOff(
  { connections, redirected, refused, passed, left }: Pick<
    Status,
    "connections" | "redirected" | "refused" | "passed" | "left"
  >,
  most = 3,
): KeptOff[] {
  const sum = (counts: Record<string, number>) =>
    Object.values(counts).reduce((total, count) => total + count, 0);
  const groups = {
    refused: { counts: refused, all: connections.paired + sum(refused) },
    left: { counts: left, all: 2 * (connections.paired + connections.adopted) },
    passed: { counts: passed, all: redirected.messages + sum(passed) },
  };
  return (Object.keys(groups) as (keyof typeof groups)[]).flatMap((group) => {
    const { counts, all } = groups[group];
    return Object.entries<number>(counts)
      .filter(([name, count]) => count > 0 && !(others[group] as string[]).includes(name))
      .map(([name, count]) => {
        const { reason, why: words, remedy } = reasonNamed(group, name as never);
        // Who has left may have entered under the mda before.
        return { reason: reason!, count, share: Math.min(1, count / Math.max(1, all)), words, remedy };
      });
  }).sort((one, other) => other.share - one.share).slice(0, most);
}
