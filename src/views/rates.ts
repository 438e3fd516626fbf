import type { Connection, ConnectionEnd } from "./connections.ts";
import type { Counters } from "./counters.ts";

/** A second's worth of both directions of a connection, or of several. */
export interface Rate {
  /** Past TCP. */
  messages: number;
  bytes: number;
  /** Messages that TCP has carried. */
  tcp: number;
}

/** A connection and how much it moves; null when that is not known yet. */
export interface Rated {
  connection: Connection;
  rate: Rate | null;
}

/** What of the whole host's messages went past TCP, and why the others did not. */
export interface Totals extends Rate {
  /** Why messages went over TCP, the most frequent reason first: messages a second of each. */
  reasons: { reason: string; messages: number }[];
}

export const noRate: Rate = { messages: 0, bytes: 0, tcp: 0 };

/** Makes rates of what connections have sent, from two readings each. */
export class Rates {
  #before = new Map<string, Rate>();
  #at: number | undefined;

  /** @param seconds when they were read, by a clock that only goes forward */
  of(connections: Connection[], seconds: number): Rated[] {
    const before = this.#before, elapsed = this.#at === undefined ? 0 : seconds - this.#at;
    this.#before = new Map();
    this.#at = seconds;
    return connections.map((connection) => {
      const now = sentBy(connection);
      if (!now) return { connection, rate: null };
      this.#before.set(connection.id, now);
      // One that has entered since then had sent nothing.
      const earlier = before.get(connection.id) ??
        (connection.age !== null && connection.age <= elapsed ? noRate : undefined);
      return { connection, rate: earlier && elapsed > 0 ? grown(earlier, now, elapsed) : null };
    });
  }
}

/** The same of all that the data plane has counted, also of connections that have ended since. */
export function totalsBetween(before: Counters, after: Counters, seconds: number): Totals {
  const reasons = Object.entries(after.passed).map(([name, count]) => ({
    reason: name.replaceAll("_", " "),
    messages: (count - before.passed[name as keyof Counters["passed"]]) / seconds,
  })).filter(({ messages }) => messages > 0).sort((one, other) => other.messages - one.messages);
  return {
    messages: (after.redirected_messages - before.redirected_messages) / seconds,
    bytes: (after.redirected_bytes - before.redirected_bytes) / seconds,
    tcp: reasons.reduce((sum, { messages }) => sum + messages, 0),
    reasons,
  };
}

/** The sum of rates; null when none is known. */
export function sumOf(rates: (Rate | null)[]): Rate | null {
  return rates.reduce<Rate | null>(
    (sum, rate) =>
      rate
        ? {
          messages: (sum?.messages ?? 0) + rate.messages,
          bytes: (sum?.bytes ?? 0) + rate.bytes,
          tcp: (sum?.tcp ?? 0) + rate.tcp,
        }
        : sum,
    null,
  );
}

/** What connections are put together by. */
export type GroupBy = "program" | "pod";

/** Connections that have the same two programs, or places, at their ends. */
export interface Group {
  key: string;
  client: string;
  server: string;
  members: Rated[];
  rate: Rate | null;
}

/** Groups, in the order of their first members. */
export function groupsOf(connections: Rated[], by: GroupBy): Group[] {
  const nameOf = by === "program" ? ({ program }: ConnectionEnd) => program ?? "?" : placeOf;
  const groups = new Map<string, Omit<Group, "rate">>();
  for (const rated of connections) {
    const client = nameOf(rated.connection.client), server = nameOf(rated.connection.server);
    // No name has a zero byte in it.
    const key = `${client}\0${server}`;
    const group = groups.get(key);
    if (group) group.members.push(rated);
    else groups.set(key, { key, client, server, members: [rated] });
  }
  return [...groups.values()].map((group) => ({
    ...group,
    rate: sumOf(group.members.map(({ rate }) => rate)),
  }));
}

/** The pod that an end runs in, else its container, else its unit; `-` when it is in none. */
export function placeOf({ pod, container, unit }: ConnectionEnd): string {
  return pod ?? container ?? unit ?? "-";
}

function sentBy({ client, server }: Connection): Rate | undefined {
  const ends = [client, server].filter(({ redirected, tcp }) => redirected && tcp);
  if (ends.length === 0) return undefined;
  const sum = (count: (end: ConnectionEnd) => number) => ends.reduce((total, end) => total + count(end), 0);
  return {
    messages: sum(({ redirected }) => redirected!.messages),
    bytes: sum(({ redirected }) => redirected!.bytes),
    tcp: sum(({ tcp }) => tcp!.messages),
  };
}

/** What an end has sent is counted anew when it has left and entered again, and goes with an end that is closed. */
function grown(before: Rate, after: Rate, seconds: number): Rate {
  const of = (key: keyof Rate) => Math.max(0, after[key] - before[key]) / seconds;
  return { messages: of("messages"), bytes: of("bytes"), tcp: of("tcp") };
}
