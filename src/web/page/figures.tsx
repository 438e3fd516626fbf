/// <reference lib="dom" />
import { shortBytes } from "../../text/units.ts";
import type { Moment } from "../moment.ts";
import { count, rateOf } from "./numbers.ts";

/** The numbers that mda status has first, and what of them happens in a second. */
export function Figures({ moment: { status, totals } }: { moment: Moment }) {
  const { connections, redirected } = status;
  const tcp = Object.values(status.passed).reduce((sum, count) => sum + count, 0);
  const figures: [id: string, name: string, value: string][] = [
    ["active", "connections accelerated now", count(connections.active)],
    ["paired", "entered at their handshake", count(connections.paired)],
    ["adopted", "adopted", count(connections.adopted)],
    ["messages", "messages past TCP", count(redirected.messages)],
    ["bytes", "bytes past TCP", `${shortBytes(redirected.bytes)}B`],
    ["tcp", "messages by TCP of these", count(tcp)],
    ["rate", "past TCP, a second", totals ? rateOf(totals.messages) : "…"],
    ["byte-rate", "bytes past TCP, a second", totals ? `${shortBytes(totals.bytes)}B` : "…"],
  ];
  return (
    <dl class="figures">
      {figures.map(([id, name, value]) => (
        <div key={id}>
          <dt>{name}</dt>
          <dd id={id}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
