import { visible } from "../text/visible.ts";
import { shortBytes, shortCount, shortDuration } from "../text/units.ts";
import type { Connection, ConnectionEnd } from "../views/connections.ts";
import type { Endpoint } from "../views/endpoints.ts";
import { type Column, tableLines } from "./table.ts";

/** `nginx[812]`, and where it runs when that is told. */
function who({ program, pid }: ConnectionEnd): string {
  return pid === null ? "?" : `${visible(program ?? "?")}[${pid}]`;
}

function place({ pod, container, unit }: ConnectionEnd): string {
  return [pod && `pod ${pod}`, container, unit].filter(Boolean).join(" ") || "-";
}

/** `10.0.0.1:80`, `[::1]:80` */
export function formatEndpoint({ address, port }: Endpoint): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Both names of an end, when NAT gives it two. */
export function names(end: ConnectionEnd, peer: ConnectionEnd): string {
  const own = formatEndpoint(end.local), seen = formatEndpoint(peer.remote);
  return own === seen ? own : `${own}=${seen}`;
}

const sum = (ends: ConnectionEnd[], count: (end: ConnectionEnd) => number | undefined) =>
  ends.reduce((total, end) => total + (count(end) ?? 0), 0);

const ends = ({ client, server }: Connection) => [client, server];
export const unread = (end: ConnectionEnd) => end.unread.redirected + end.unread.tcp;
const sent = ({ redirected, tcp }: ConnectionEnd) =>
  redirected && tcp ? `${shortBytes(redirected.bytes)}+${shortBytes(tcp.bytes)}` : "-";
const duration = (seconds: number | null) => seconds === null ? "-" : shortDuration(seconds);
const owner = ({ uid, gid }: ConnectionEnd) => uid === null ? "-" : `${uid}:${gid}`;

/** The most important ones have the lowest ranks. */
const columns: Column<Connection>[] = [
  { title: "STATE", rank: 1, value: ({ state }) => state },
  { title: "CLIENT", rank: 1, least: 12, value: ({ client }) => who(client) },
  { title: "SERVER", rank: 1, least: 12, value: ({ server }) => who(server) },
  { title: "PORT", rank: 2, right: true, value: ({ server }) => String(server.local.port) },
  {
    title: "MSGS",
    rank: 3,
    right: true,
    value: (connection) => shortCount(sum(ends(connection), ({ redirected }) => redirected?.messages)),
  },
  {
    title: "BYTES",
    rank: 4,
    right: true,
    value: (connection) => shortBytes(sum(ends(connection), ({ redirected }) => redirected?.bytes)),
  },
  { title: "IDLE", rank: 5, right: true, value: ({ idle }) => duration(idle) },
  { title: "REASON", rank: 2, least: 10, value: ({ reason }) => reason ?? "" },
  {
    title: "BYTCP",
    rank: 6,
    right: true,
    value: (connection) => shortCount(sum(ends(connection), ({ tcp }) => tcp?.messages)),
  },
  { title: "AGE", rank: 7, right: true, value: ({ age }) => duration(age) },
  {
    title: "UNREAD",
    rank: 8,
    right: true,
    value: (connection) => shortBytes(sum(ends(connection), unread)),
  },
  { title: "CLIENT ADDRESS", rank: 9, value: ({ client, server }) => names(client, server) },
  { title: "SERVER ADDRESS", rank: 9, value: ({ client, server }) => names(server, client) },
];

/** What -o wide has more. */
const wide: Column<Connection>[] = [
  ...columns,
  { title: "JOINED", rank: 10, value: ({ joined }) => joined ?? "-" },
  { title: "CLIENT SENT", rank: 10, right: true, value: ({ client }) => sent(client) },
  { title: "SERVER SENT", rank: 10, right: true, value: ({ server }) => sent(server) },
  { title: "OWNERS", rank: 11, value: ({ client, server }) => `${owner(client)} ${owner(server)}` },
  {
    title: "NETNS",
    rank: 11,
    value: ({ client, server }) => [...new Set([client.netns, server.netns])].join(" "),
  },
  { title: "CLIENT IN", rank: 12, value: ({ client }) => place(client) },
  { title: "SERVER IN", rank: 12, value: ({ server }) => place(server) },
  { title: "WHY", rank: 13, value: ({ why }) => why },
];

/** @param width how wide it may be; all of it when absent */
export function connectionLines(
  connections: Connection[],
  { isWide, width }: { isWide: boolean; width?: number },
): string[] {
  return tableLines(isWide ? wide : columns, connections, width);
}
