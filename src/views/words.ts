// What commands take, in a file of its own: --help and completions load no more than this.

/** Where a connection's bytes go. */
export const states = [
  /** Past TCP. */
  "redirected",
  /** By TCP, for the reason of the last message; the next may be redirected. */
  "passed",
  /** Nothing was sent since it has entered. */
  "idle",
  /** By TCP, and out of the sockhash as soon as what is unread was read. */
  "leaving",
  /** By TCP: it has left the sockhash. */
  "left",
  /** By TCP: it did not enter at its handshake. */
  "refused",
  /** By TCP, and mda has not decided about it. */
  "outside",
] as const;

export type State = typeof states[number];

/** What connections are sorted by. */
export const sortKeys = [
  "bytes",
  "messages",
  "tcp",
  "unread",
  "age",
  "idle",
  "state",
  "client",
  "server",
  "port",
] as const;

export type SortKey = typeof sortKeys[number];
