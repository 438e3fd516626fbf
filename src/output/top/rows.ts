import { formatEndpoint } from "../connections_table.ts";
import type { Connection, ConnectionEnd } from "../../views/connections.ts";
import { type Group, groupsOf, type Rate, type Rated } from "../../views/rates.ts";
import { sortValue } from "../../views/sort.ts";
import type { SortKey } from "../../views/words.ts";
import type { Row, State } from "./state.ts";

/** The rows that are to be seen, in their order. */
export function rowsOf(
  connections: Rated[],
  { sort, isInverted, filter, tree, closed }: Pick<
    State,
    "sort" | "isInverted" | "filter" | "tree" | "closed"
  >,
): Row[] {
  const shown = sorted(matching(connections, filter), sort, isInverted);
  if (tree === "off") return shown.map((rated) => ({ kind: "connection", rated }));
  // Of the sum where there is one, else as their first members are.
  const rated = ({ rate, members: [first] }: Group): Rated => ({ connection: first.connection, rate });
  const groups = new Map(groupsOf(shown, tree).map((group) => [rated(group), group]));
  return sorted([...groups.keys()], sort, isInverted).flatMap((first) => {
    const of = groups.get(first)!;
    const isOpen = !closed.has(of.key);
    const members: Row[] = isOpen
      ? of.members.map((rated) => ({ kind: "connection", rated, group: of.key }))
      : [];
    return [{ kind: "group", of, group: of.key, isOpen }, ...members];
  });
}

/** Here these are of a second, as that is what the table shows. */
const ofRates: Partial<Record<SortKey, keyof Rate>> = { bytes: "bytes", messages: "messages", tcp: "tcp" };

function sorted(connections: Rated[], by: SortKey, isInverted: boolean): Rated[] {
  const ofRate = ofRates[by];
  const value = ({ connection, rate }: Rated) => ofRate ? -(rate?.[ofRate] ?? 0) : sortValue(connection, by);
  const sign = isInverted ? -1 : 1;
  return connections.map((rated) => ({ rated, value: value(rated), id: Number(rated.connection.id) }))
    .sort((one, other) =>
      (one.value < other.value ? -sign : one.value > other.value ? sign : 0) || one.id - other.id
    )
    .map(({ rated }) => rated);
}

function matching(connections: Rated[], filter: string): Rated[] {
  const words = filter.toLowerCase().split(" ").filter(Boolean);
  if (words.length === 0) return connections;
  return connections.filter(({ connection }) => {
    const text = searchable(connection);
    return words.every((word) => text.includes(word));
  });
}

function searchable({ state, reason, client, server }: Connection): string {
  const ofEnd = (
    { program, pid, local, remote, pod, container, unit }: ConnectionEnd,
  ) => [program, pid, formatEndpoint(local), formatEndpoint(remote), pod, container, unit];
  return [state, reason, ...ofEnd(client), ...ofEnd(server)].join(" ").toLowerCase();
}
