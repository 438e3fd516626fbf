/** Connections and counters as tests make them. */
import type { Connection, ConnectionEnd } from "../../../src/views/connections.ts";
import type { Counters } from "../../../src/views/counters.ts";
import type { Rate, Rated } from "../../../src/views/rates.ts";
import { reasons } from "../../../src/generated/reasons.ts";

let made = 0;

function end(program: string, port: number, pod?: string): ConnectionEnd {
  return {
    local: { address: "127.0.0.1", port },
    remote: { address: "127.0.0.1", port: 1 },
    netns: 1,
    pid: 1,
    program,
    ...pod && { pod },
    uid: 0,
    gid: 0,
    redirected: null,
    tcp: null,
    unread: { redirected: 0, tcp: 0 },
  };
}

/** A connection between two programs. */
export function rated(
  {
    client = "wrk",
    server = "nginx",
    port = 80,
    pod,
    state = "redirected",
    reason = null,
    why = "",
    rate = null,
  }: {
    client?: string;
    server?: string;
    port?: number;
    pod?: string;
    state?: Connection["state"];
    reason?: string | null;
    why?: string;
    rate?: Rate | null;
  },
): Rated {
  return {
    connection: {
      id: String(++made),
      state,
      reason,
      why,
      joined: "paired",
      age: 1,
      idle: 0,
      client: end(client, 40000 + made % 20000, pod),
      server: end(server, port),
    },
    rate,
  };
}

/** Counters that are zero, but for these. */
export function counters(changes: Partial<Counters> = {}): Counters {
  const zero = (group: keyof typeof reasons) =>
    Object.fromEntries(Object.keys(reasons[group]).map((name) => [name, 0])) as never;
  return {
    connections_paired: 0,
    connections_adopted: 0,
    redirected_messages: 0,
    redirected_bytes: 0,
    refused: zero("refused"),
    passed: zero("passed"),
    left: zero("left"),
    ...changes,
  };
}
