/** Faults of the protocol that the search has found. */
import type { Config } from "./steps.ts";

/** What the protocol was found to do wrong by this search, each with what has set it right (README.md). */
export const faults: Record<string, Partial<Config>> = {
  // verdict.ts: want_edge() whenever a message passes beside what is unread, also when its sender was silenced
  "edge is noted when it passes": { messages: [3, 0], triggers: ["ask to leave"] },
  // leave_if_possible(): not while a send of its own is under way, as in release_socket()
  "callback looks at own sends": { messages: [3, 0], triggers: ["bulk"], callbacks: true },
  // release_socket(): sets notice.leave before left_at_ns; else the peer of one that is not deleted redirects to it
  "who goes says so": { messages: [1, 0], triggers: ["stop"], kills: 1, starts: 1 },
  // maySwitch(): false while another send of the socket's is under way
  "waits for other sends": { threads: 2, switches: 1 },
};

/** All of them: the data plane as it is. */
export const repaired: ReadonlySet<string> = new Set(Object.keys(faults));
