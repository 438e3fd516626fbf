import type { Rate } from "../../views/rates.ts";
import type { Flow, Node } from "../moment.ts";

/** What a node stands for. */
export type GroupBy = "program" | "place" | "both";

/** A program, or a place where programs run. */
export interface GraphNode {
  id: string;
  name: string;
  connections: number;
  /** Messages a second, of all its connections. */
  messages: number;
}

/** Connections from one node to another that go the same way. */
export interface GraphEdge {
  id: string;
  source: string;
  target: string;
  accelerated: boolean;
  connections: number;
  rate: Rate | null;
}

export interface Graph {
  nodes: GraphNode[];
  edges: GraphEdge[];
}

/** How a node is called. What is at no place is called as its program. */
export function nameOf({ program, place }: Node, by: GroupBy): string {
  if (by === "program" || place === "-") return program;
  return by === "place" ? shortPlace(place) : `${program} in ${shortPlace(place)}`;
}

/** A pod's UID is longer than anybody reads. */
export function shortPlace(place: string): string {
  return /^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(place) ? `pod ${place.slice(0, 8)}` : place;
}

/** Puts flows together by what their ends are called. */
export function graphOf(nodes: Node[], flows: Flow[], by: GroupBy): Graph {
  const found = new Map<string, GraphNode>(), edges = new Map<string, GraphEdge>();
  const node = (place: number, flow: Flow) => {
    const name = nameOf(nodes[place], by);
    const known = found.get(name) ?? { id: name, name, connections: 0, messages: 0 };
    found.set(name, known);
    known.connections += flow.connections;
    known.messages += messagesOf(flow.rate);
    return known.id;
  };
  for (const flow of flows) {
    const source = node(flow.client, flow);
    const target = flow.client === flow.server || nameOf(nodes[flow.server], by) === source
      ? source
      : node(flow.server, flow);
    const id = `${source}\0${target}\0${flow.accelerated}`;
    const { accelerated, connections, rate } = flow;
    const known = edges.get(id);
    if (known) {
      known.connections += connections;
      known.rate = add(known.rate, rate);
    } else edges.set(id, { id, source, target, accelerated, connections, rate });
  }
  return { nodes: [...found.values()], edges: [...edges.values()] };
}

/** Messages a second, past TCP and by TCP. */
export function messagesOf(rate: Rate | null): number {
  return rate ? rate.messages + rate.tcp : 0;
}

function add(one: Rate | null, other: Rate | null): Rate | null {
  if (!one || !other) return one ?? other;
  return {
    messages: one.messages + other.messages,
    bytes: one.bytes + other.bytes,
    tcp: one.tcp + other.tcp,
  };
}

/** What a node does, in words: for who does not see the graph. */
export function wordsOf({ nodes, edges }: Graph, id: string, count: (value: number) => string): string {
  const node = nodes.find((node) => node.id === id);
  if (!node) return "";
  const own = edges.filter(({ source, target }) => source === id || target === id);
  const of = (edge: GraphEdge) => {
    const other = edge.source === id ? `to ${edge.target}` : `from ${edge.source}`;
    const way = edge.accelerated ? "accelerated" : "over TCP";
    const rate = edge.rate ? `, ${count(messagesOf(edge.rate))} messages a second` : "";
    return `${other}: ${edge.connections} ${way}${rate}`;
  };
  const shown = own.slice(0, 5).map(of);
  const more = own.length > shown.length ? [`and ${own.length - shown.length} more`] : [];
  return `${node.name}. ${[...shown, ...more].join("; ")}.`;
}
