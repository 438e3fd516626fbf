import { shortBytes, shortCount, shortDuration } from "../text/units.ts";
import { visible } from "../text/visible.ts";
import type { Trace, TracedEnd } from "../views/traces.ts";
import { formatEndpoint } from "./connections_table.ts";

/** `12:04:01.123456 ended        nginx 10.0.0.1:4000 > app 10.0.0.2:80 ...` */
export function traceLine({ time, event, reason, why, end, local, remote, age, own, peer }: Trace): string {
  const ends = [
    { name: own.program, place: formatEndpoint(local), sent: own },
    { name: peer.program, place: formatEndpoint(remote), sent: peer },
  ];
  // The client first, whoever has seen it.
  if (end === "server") ends.reverse();
  const [client, server] = ends.map(({ name, place }) => `${name === null ? "?" : visible(name)} ${place}`);
  const sums = event === "paired" || event === "adopted" || event === "refused"
    ? ""
    : `, ${ends.map(({ sent }) => sumsOf(sent)).join(" > ")}${
      age === null ? "" : ` in ${shortDuration(age)}`
    }`;
  const because = reason === null ? "" : `: ${reason.split(" ")[1]} (${why})`;
  return `${time.slice(11, 26)} ${event.padEnd(11)} ${client} > ${server}${sums}${because}`;
}

function sumsOf({ redirected, tcp }: TracedEnd): string {
  const passed = tcp.messages > 0 ? ` + ${shortCount(tcp.messages)} by TCP` : "";
  return `${shortCount(redirected.messages)} (${shortBytes(redirected.bytes)})${passed}`;
}
