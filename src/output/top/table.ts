import { shortBytes, shortCount, shortDuration } from "../../text/units.ts";
import { visible } from "../../text/visible.ts";
import type { Connection, ConnectionEnd } from "../../views/connections.ts";
import { placeOf, type Rate } from "../../views/rates.ts";
import type { SortKey } from "../../views/words.ts";
import { names, unread } from "../connections_table.ts";
import { type Column, tableLines } from "../table.ts";
import type { Line, Style } from "./line.ts";
import type { Row } from "./state.ts";

/** A column whose rows are groups too. */
interface TopColumn extends Column<Row> {
  sort?: SortKey;
}

// Numbers and states are as wide as they can become, so that columns stay in their place from one reading to the next.
const NUMBER = 5, STATE = 10, DURATION = 4;

// A process's name has 15 characters at most. They are cut to so many only where there is little room.
const NAME = 15, NAME_LEAST = 10, WIDE = 100;

const rateOf = (row: Row) => row.kind === "group" ? row.of.rate : row.rated.rate;

function rateColumn(
  title: string,
  rank: number,
  sort: SortKey & keyof Rate,
  format: (value: number) => string,
): TopColumn {
  return {
    title,
    rank,
    sort,
    right: true,
    value: (row) => {
      const rate = rateOf(row);
      return (rate ? format(rate[sort]) : "-").padStart(NUMBER);
    },
  };
}

/** Less than one a second is not nothing. */
const perSecond = (value: number) => value > 0 && value < 1 ? "<1" : shortCount(value);

/** A cell that only a connection has. */
const ofConnection = (value: (connection: Connection) => string) => (row: Row) =>
  row.kind === "group" ? "" : value(row.rated.connection);

/** A cell that sums the members of a group up. */
const ofAll = (format: (value: number) => string, value: (connection: Connection) => number) => (row: Row) =>
  format(
    row.kind === "group"
      ? row.of.members.reduce((sum, { connection }) => sum + value(connection), 0)
      : value(row.rated.connection),
  ).padStart(NUMBER);

const sent = (key: "messages" | "bytes") => ({ client, server }: Connection) =>
  (client.redirected?.[key] ?? 0) + (server.redirected?.[key] ?? 0);

const duration = (seconds: number | null) =>
  (seconds === null ? "-" : shortDuration(seconds)).padStart(DURATION);

const program = ({ program }: ConnectionEnd) => visible(program ?? "?");
const pid = ({ pid }: ConnectionEnd) => String(pid ?? "-");

function stateOf(row: Row): string {
  if (row.kind === "connection") {
    const { state } = row.rated.connection;
    return row.group === undefined ? state.padEnd(STATE) : `  ${state}`.padEnd(STATE + 2);
  }
  return `${row.isOpen ? "[-]" : "[+]"} ${row.of.members.length.toLocaleString("en")}`.padEnd(STATE + 2);
}

/** The port that all of them have. */
function portOf(row: Row): string {
  const ports = new Set(
    (row.kind === "group" ? row.of.members : [row.rated]).map(({ connection }) =>
      connection.server.local.port
    ),
  );
  return (ports.size === 1 ? String([...ports][0]) : "*").padStart(NUMBER);
}

/** Its group is in the state. */
function reasonOf({ reason }: Connection): string {
  return reason?.replace(/^(passed|left|refused|outside) /, "").replaceAll("_", " ") ?? "";
}

const columns: TopColumn[] = [
  { title: "STATE", rank: 1, sort: "state", value: stateOf },
  {
    title: "CLIENT",
    rank: 1,
    sort: "client",
    value: (row) => row.kind === "group" ? visible(row.of.client) : program(row.rated.connection.client),
  },
  { title: "CPID", rank: 7, right: true, value: ofConnection(({ client }) => pid(client)) },
  {
    title: "SERVER",
    rank: 1,
    sort: "server",
    value: (row) => row.kind === "group" ? visible(row.of.server) : program(row.rated.connection.server),
  },
  { title: "SPID", rank: 7, right: true, value: ofConnection(({ server }) => pid(server)) },
  { title: "PORT", rank: 3, right: true, sort: "port", value: portOf },
  rateColumn("MSG/S", 2, "messages", perSecond),
  rateColumn("BYTE/S", 3, "bytes", shortBytes),
  rateColumn("TCP/S", 5, "tcp", perSecond),
  { title: "IDLE", rank: 6, right: true, sort: "idle", value: ofConnection(({ idle }) => duration(idle)) },
  { title: "REASON", rank: 4, least: 8, value: ofConnection(reasonOf) },
  { title: "AGE", rank: 8, right: true, sort: "age", value: ofConnection(({ age }) => duration(age)) },
  {
    title: "UNREAD",
    rank: 9,
    right: true,
    sort: "unread",
    value: ofAll(shortBytes, ({ client, server }) => unread(client) + unread(server)),
  },
  { title: "MSGS", rank: 9, right: true, value: ofAll(shortCount, sent("messages")) },
  { title: "BYTES", rank: 9, right: true, value: ofAll(shortBytes, sent("bytes")) },
  {
    title: "CLIENT ADDRESS",
    rank: 10,
    value: ofConnection(({ client, server }) => names(client, server)),
  },
  {
    title: "SERVER ADDRESS",
    rank: 10,
    value: ofConnection(({ client, server }) => names(server, client)),
  },
  { title: "CLIENT IN", rank: 12, value: ofConnection(({ client }) => placeOf(client)) },
  { title: "SERVER IN", rank: 12, value: ofConnection(({ server }) => placeOf(server)) },
];

/**
 * The heads of the columns, and a line for each of these rows.
 *
 * @param width how wide they may be; all columns when absent
 * @param selected the one of them that the cursor is on
 */
export function tableOf(
  rows: Row[],
  { sort, width, selected }: { sort: SortKey; width?: number; selected?: number },
): Line[] {
  const least = width !== undefined && width < WIDE ? NAME_LEAST : NAME;
  const marked = columns.map((column) => ({
    ...column,
    ...column.title === "CLIENT" || column.title === "SERVER" ? { least } : {},
    ...column.sort === sort ? { title: `${column.title}*` } : {},
  }));
  const [head, ...lines] = tableLines(marked, rows, width);
  const full = (line: string) => width === undefined ? line : line.padEnd(width);
  return [
    [{ text: full(head), style: "header" }],
    ...lines.map((line, index): Line => {
      if (index === selected) return [{ text: full(line), style: "selected" }];
      return styled(line, rows[index]);
    }),
  ];
}

const styleOfState: Partial<Record<Connection["state"], Style>> = {
  redirected: "good",
  passed: "warning",
  leaving: "warning",
};

/** The state is the first cell, and never cut. */
function styled(line: string, row: Row): Line {
  if (row.kind === "group") return [{ text: line, style: "group" }];
  const { state } = row.rated.connection;
  const style = styleOfState[state] ?? "muted";
  const end = (row.group === undefined ? 0 : 2) + state.length;
  return [{ text: line.slice(0, end), style }, { text: line.slice(end) }];
}
