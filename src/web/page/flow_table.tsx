/// <reference lib="dom" />
import { useMemo, useState } from "preact/hooks";
import { plural } from "../../text/plural.ts";
import { shortBytes } from "../../text/units.ts";
import type { Flow, Moment } from "../moment.ts";
import { type GroupBy, messagesOf, nameOf, shortPlace } from "./graph.ts";
import { count, rateOf } from "./numbers.ts";

interface Row {
  id: string;
  client: string;
  server: string;
  /** What the graph calls them. */
  ends: string[];
  port: number;
  flow: Flow;
}

const columns: [title: string, order: (row: Row) => string | number, isNumber?: true][] = [
  ["Client", ({ client }) => client],
  ["Server", ({ server }) => server],
  ["Port", ({ port }) => port, true],
  ["Way", ({ flow }) => flow.accelerated ? "accelerated" : "TCP"],
  ["Connections", ({ flow }) => -flow.connections, true],
  ["Messages/s", ({ flow }) => -messagesOf(flow.rate), true],
  ["Bytes/s", ({ flow }) => -(flow.rate?.bytes ?? 0), true],
  ["Why", ({ flow }) => flow.states[0]?.why ?? ""],
];

const ROWS_MAX = 100;

interface Properties {
  moment: Moment;
  by: GroupBy;
  selected: string | null;
  select(id: string | null): void;
}

/** The edges of the graph, each with its port and what keeps it off. */
export function FlowTable({ moment, by, selected, select }: Properties) {
  const [sort, setSort] = useState({ column: 5, isUp: true });
  const [wanted, setWanted] = useState("");
  const [isWhole, setWhole] = useState(false);
  const rows = useMemo(() => rowsOf(moment, by), [moment, by]);
  const found = rows.filter(({ client, server, port, ends, flow }) =>
    (selected === null || ends.includes(selected)) &&
    `${client} ${server} ${port} ${flow.states.map(({ why, reason }) => `${why} ${reason}`)}`.includes(wanted)
  ).sort(orderBy(sort));
  const shown = isWhole ? found : found.slice(0, ROWS_MAX);
  const head = ([title, , isNumber]: typeof columns[number], place: number) => (
    <th
      key={title}
      scope="col"
      class={isNumber ? "number" : ""}
      aria-sort={sort.column === place ? sort.isUp ? "ascending" : "descending" : "none"}
    >
      <button
        type="button"
        onClick={() => setSort({ column: place, isUp: sort.column !== place || !sort.isUp })}
      >
        {title}
        {sort.column === place ? sort.isUp ? " ▾" : " ▴" : ""}
      </button>
    </th>
  );
  return (
    <section aria-labelledby="connections">
      <h2 id="connections" tabIndex={-1}>Connections</h2>
      <div class="controls">
        <label>
          Only with{" "}
          <input type="search" value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />
        </label>
        {selected !== null && (
          <button type="button" onClick={() => select(null)}>Not only those of {selected}</button>
        )}
      </div>
      <div class="scroll" role="region" aria-labelledby="connections" tabIndex={0}>
        <table id="flows">
          <caption>{plural(found.length, "flow")}</caption>
          <thead>
            <tr>{columns.map(head)}</tr>
          </thead>
          <tbody>{shown.map((row) => <FlowRow key={row.id} {...row} />)}</tbody>
        </table>
      </div>
      {found.length > shown.length && (
        <button type="button" onClick={() => setWhole(true)}>All {count(found.length)}</button>
      )}
    </section>
  );
}

function FlowRow({ client, server, port, flow }: Row) {
  const { accelerated, connections, rate, states } = flow;
  return (
    <tr>
      <th scope="row">{client}</th>
      <td>{server}</td>
      <td class="number">{port}</td>
      <td class={`way ${accelerated ? "fast" : "tcp"}`}>{accelerated ? "— past TCP" : "- - TCP"}</td>
      <td class="number">{count(connections)}</td>
      <td class="number">{rate ? rateOf(messagesOf(rate)) : "not counted"}</td>
      <td class="number">{rate && accelerated ? shortBytes(rate.bytes) : "–"}</td>
      <td>
        {states.filter(({ reason }) => reason !== null).map(({ state, why, remedy, connections }) => (
          <div key={`${state} ${why}`}>
            {state}: {why}
            {connections === flow.connections ? "" : ` (${count(connections)})`}
            {remedy && <span class="quiet">; {remedy}</span>}
          </div>
        ))}
      </td>
    </tr>
  );
}

function orderBy({ column, isUp }: { column: number; isUp: boolean }) {
  const [, order] = columns[column];
  return (one: Row, other: Row) => {
    const [a, b] = [order(one), order(other)];
    return (a < b ? -1 : a > b ? 1 : one.id < other.id ? -1 : 1) * (isUp ? 1 : -1);
  };
}

function rowsOf({ nodes, flows }: Moment, by: GroupBy): Row[] {
  const name = (place: number) => {
    const node = nodes[place];
    return node.place === "-" ? node.program : `${node.program} in ${shortPlace(node.place)}`;
  };
  return flows.map((flow) => ({
    id: [
      nodes[flow.client].program,
      nodes[flow.client].place,
      nodes[flow.server].program,
      nodes[flow.server].place,
      flow.port,
      flow.accelerated,
    ].join("\0"),
    client: name(flow.client),
    server: name(flow.server),
    ends: [flow.client, flow.server].map((place) => nameOf(nodes[place], by)),
    port: flow.port,
    flow,
  }));
}
