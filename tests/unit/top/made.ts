/** Connections, readings and screens as tests want them. */
import { initialState, type State } from "../../../src/output/top/state.ts";
import { rowsOf } from "../../../src/output/top/rows.ts";
import { press } from "../../../src/output/top/state.ts";
import { frameOf } from "../../../src/output/top/frame.ts";
import { textOf } from "../../../src/output/top/line.ts";
import type { Connection, ConnectionEnd } from "../../../src/views/connections.ts";
import type { Rate, Rated } from "../../../src/views/rates.ts";
import type { Reading } from "../../../src/views/watch.ts";

let made = 0;

interface EndOptions extends Partial<ConnectionEnd> {
  port?: number;
  /** What it has sent past TCP, and by TCP: a message of 10 bytes each. */
  sent?: number;
  passed?: number;
}

function end({ port = 40000, sent = 0, passed = 0, ...more }: EndOptions): ConnectionEnd {
  return {
    local: { address: "127.0.0.1", port },
    remote: { address: "127.0.0.1", port: 0 },
    netns: 1,
    pid: 100,
    program: "client",
    uid: 0,
    gid: 0,
    redirected: { messages: sent, bytes: sent * 10 },
    tcp: { messages: passed, bytes: passed * 10 },
    unread: { redirected: 0, tcp: 0 },
    ...more,
  };
}

/** A connection that is redirected, but for what is said. */
export function connection(
  { client, server, ...more }: Partial<Omit<Connection, "client" | "server">> & {
    client?: EndOptions;
    server?: EndOptions;
  } = {},
): Connection {
  const ends = {
    client: end({ port: 40000 + made, ...client }),
    server: end({ port: 80, program: "server", pid: 200, ...server }),
  };
  ends.client.remote = ends.server.local;
  ends.server.remote = ends.client.local;
  return {
    id: String(++made),
    state: "redirected",
    reason: null,
    why: "messages go past TCP",
    joined: "paired",
    age: 100,
    idle: 0.5,
    ...ends,
    ...more,
  };
}

export function rated(options: Parameters<typeof connection>[0], rate: Partial<Rate> | null = {}): Rated {
  return { connection: connection(options), rate: rate && { messages: 0, bytes: 0, tcp: 0, ...rate } };
}

export function readingOf(connections: Rated[], more: Partial<Reading> = {}): Reading {
  return {
    enabled: true,
    cgroup: "/sys/fs/cgroup/test",
    active: connections.length,
    max: 1000,
    totals: { messages: 900, bytes: 9000, tcp: 100, reasons: [{ reason: "unread", messages: 100 }] },
    connections,
    ...more,
  };
}

/** A screen, its keys and what is on it. */
export class Played {
  constructor(public reading: Reading, public state: State = stateOf({})) {}

  get rows() {
    return rowsOf(this.reading.connections, this.state);
  }

  press(...keys: string[]): this {
    for (const key of keys) this.state = press(this.state, key, this.rows);
    return this;
  }

  get lines(): string[] {
    return frameOf(this.state, { reading: this.reading, rows: this.rows, clock: "12:00:00" }).map(textOf);
  }

  /** The table's lines below the heads of its columns, but for empty ones. */
  get table(): string[] {
    const lines = this.lines;
    return lines.slice(lines.findIndex((line) => line.startsWith("STATE")) + 1, -1).filter(Boolean);
  }
}

export function stateOf(options: Partial<State>): State {
  return {
    ...initialState({ sort: "bytes", tree: "off", all: false, delay: 2 }, { columns: 80, rows: 24 }),
    ...options,
  };
}
