import type { Connection, ConnectionEnd } from "./connections.ts";
import { type SortKey, states } from "./words.ts";

const ends = ({ client, server }: Connection) => [client, server];
const total = (connection: Connection, count: (end: ConnectionEnd) => number) =>
  ends(connection).reduce((sum, end) => sum + count(end), 0);

/** What connections are sorted by: numbers with the largest first, names and states in their order. */
const keys: Record<SortKey, (connection: Connection) => number | string> = {
  bytes: (connection: Connection) => -total(connection, ({ redirected }) => redirected?.bytes ?? 0),
  messages: (connection: Connection) => -total(connection, ({ redirected }) => redirected?.messages ?? 0),
  tcp: (connection: Connection) => -total(connection, ({ tcp }) => tcp?.messages ?? 0),
  unread: (connection: Connection) => -total(connection, ({ unread }) => unread.redirected + unread.tcp),
  age: ({ age }: Connection) => -(age ?? 0),
  idle: ({ idle }: Connection) => -(idle ?? 0),
  state: ({ state }: Connection) => states.indexOf(state),
  client: ({ client }: Connection) => client.program ?? "",
  server: ({ server }: Connection) => server.program ?? "",
  port: ({ server }: Connection) => server.local.port,
};

/** What a connection is sorted by: the smallest goes first. */
export function sortValue(connection: Connection, by: SortKey): number | string {
  return keys[by](connection);
}

/** Sorted; what is alike stays in the order in which connections were made. */
export function sortConnections(connections: Connection[], by: SortKey): Connection[] {
  const key = keys[by];
  const order = (one: number | string, other: number | string) => one < other ? -1 : one > other ? 1 : 0;
  return connections.map((connection) => ({ connection, key: key(connection) }))
    .sort((one, other) =>
      order(one.key, other.key) || Number(one.connection.id) - Number(other.connection.id)
    )
    .map(({ connection }) => connection);
}
