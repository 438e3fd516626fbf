/// <reference lib="dom" />
import { shortBytes, shortCount } from "../../text/units.ts";
import { messagesOf } from "./graph.ts";
import type { Layout, PlacedEdge, PlacedNode } from "./layout.ts";

/** From a node's place to the canvas: x * scale + left. */
export interface View {
  scale: number;
  left: number;
  top: number;
}

/** What is drawn besides the layout. */
export interface Look {
  width: number;
  height: number;
  selected: string | null;
  colours: Record<"paper" | "ink" | "quiet" | "fast" | "tcp" | "node" | "mark", string>;
}

const LABELS_MAX = 60;

/** As much of a view as shows all nodes. */
export function fitted({ nodes }: Layout, { width, height }: Look): View {
  if (nodes.length === 0) return { scale: 1, left: width / 2, top: height / 2 };
  const xs = nodes.map(({ x }) => x), ys = nodes.map(({ y }) => y);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = Math.min(1.6, (width - 120) / Math.max(1, x1 - x0), (height - 80) / Math.max(1, y1 - y0));
  return { scale, left: width / 2 - scale * (x0 + x1) / 2, top: height / 2 - scale * (y0 + y1) / 2 };
}

export function draw(context: CanvasRenderingContext2D, layout: Layout, view: View, look: Look): void {
  const { width, height, colours, selected } = look;
  context.clearRect(0, 0, width, height);
  const isNear = ({ source, target }: PlacedEdge) =>
    [source, target].some(({ node }) => node.id === selected);
  for (const accelerated of [false, true]) {
    const edges = layout.edges.filter(({ edge }) => edge.accelerated === accelerated);
    context.strokeStyle = accelerated ? colours.fast : colours.tcp;
    context.setLineDash(accelerated ? [] : [6, 4]);
    for (const placed of edges) {
      context.globalAlpha = selected === null || isNear(placed) ? 1 : 0.25;
      context.lineWidth = Math.min(7, 2 + 1.1 * Math.log10(1 + messagesOf(placed.edge.rate)));
      line(context, placed, view);
    }
  }
  context.setLineDash([]);
  context.globalAlpha = 1;
  drawNodes(context, layout, view, look);
  const labelled = selected === null && layout.edges.length > LABELS_MAX ? [] : layout.edges
    .filter((placed) => selected === null || isNear(placed)).slice(0, LABELS_MAX);
  for (const placed of labelled) {
    const text = rateText(placed);
    if (!text) continue;
    const { x, y } = middle(placed, view);
    label(context, text, x, y, placed.edge.accelerated ? colours.fast : colours.tcp, colours.paper);
  }
}

/** `12k/s 3.4MB/s`, of TCP `950/s`; nothing when it is not known. */
export function rateText({ edge: { accelerated, rate } }: PlacedEdge): string {
  if (!rate) return "";
  const messages = `${shortCount(messagesOf(rate))}/s`;
  return accelerated ? `${messages} ${shortBytes(rate.bytes)}B/s` : messages;
}

function drawNodes(context: CanvasRenderingContext2D, { nodes }: Layout, view: View, look: Look): void {
  const { colours, selected } = look;
  const size = Math.max(0.45, Math.min(1, view.scale));
  context.lineWidth = 2;
  context.fillStyle = colours.node;
  context.strokeStyle = colours.ink;
  context.beginPath();
  for (const { x, y, radius } of nodes) {
    const [left, top] = [x * view.scale + view.left, y * view.scale + view.top];
    context.moveTo(left + radius * size, top);
    context.arc(left, top, radius * size, 0, 2 * Math.PI);
  }
  context.fill();
  context.stroke();
  const named = nodes.length <= LABELS_MAX
    ? nodes
    : [...nodes].sort((one, other) => other.radius - one.radius).slice(0, Math.round(15 + 20 * view.scale));
  const chosen = nodes.find(({ node }) => node.id === selected);
  context.font = "600 12px system-ui, sans-serif";
  for (const placed of chosen && !named.includes(chosen) ? [...named, chosen] : named) {
    const { x, y, radius, node } = placed;
    const top = y * view.scale + view.top + radius * size + 10;
    label(context, shortened(node.name), x * view.scale + view.left, top, colours.ink, colours.paper);
  }
  if (!chosen) return;
  context.strokeStyle = colours.mark;
  context.lineWidth = 4;
  context.beginPath();
  const [left, top] = [chosen.x * view.scale + view.left, chosen.y * view.scale + view.top];
  context.arc(left, top, chosen.radius * size + 4, 0, 2 * Math.PI);
  context.stroke();
}

const shortened = (name: string) => name.length > 24 ? `${name.slice(0, 23)}…` : name;

/** The two ways between two nodes are beside each other; to itself a node has a loop. */
function line(context: CanvasRenderingContext2D, placed: PlacedEdge, view: View): void {
  const { source, target } = placed;
  const [x1, y1] = [source.x * view.scale + view.left, source.y * view.scale + view.top];
  context.beginPath();
  if (source === target) {
    const side = placed.edge.accelerated ? -1 : 1;
    context.ellipse(x1 + side * source.radius, y1 - source.radius, 14, 11, 0, 0, 2 * Math.PI);
  } else {
    const bend = bendOf(placed, view);
    context.moveTo(x1, y1);
    context.quadraticCurveTo(
      bend.x,
      bend.y,
      target.x * view.scale + view.left,
      target.y * view.scale + view.top,
    );
  }
  context.stroke();
}

function bendOf({ source, target, edge }: PlacedEdge, view: View): { x: number; y: number } {
  const [dx, dy] = [(target.x - source.x) * view.scale, (target.y - source.y) * view.scale];
  const bend = edge.accelerated ? 0.08 : -0.16;
  return {
    x: (source.x + target.x) / 2 * view.scale + view.left - dy * bend,
    y: (source.y + target.y) / 2 * view.scale + view.top + dx * bend,
  };
}

function middle(placed: PlacedEdge, view: View): { x: number; y: number } {
  const { source, target, edge } = placed;
  if (source === target) {
    const side = edge.accelerated ? -1 : 1;
    const x = source.x * view.scale + view.left + side * (source.radius + 14);
    return { x, y: source.y * view.scale + view.top - source.radius - 16 };
  }
  const bend = bendOf(placed, view);
  const mean = (axis: "x" | "y", start: number) =>
    ((source[axis] + target[axis]) / 2 * view.scale + start + bend[axis]) / 2;
  return { x: mean("x", view.left), y: mean("y", view.top) };
}

/** Over a rim of paper, so that lines do not cross it. */
function label(
  context: CanvasRenderingContext2D,
  text: string,
  x: number,
  y: number,
  ink: string,
  paper: string,
): void {
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = 4;
  context.lineJoin = "round";
  context.strokeStyle = paper;
  context.strokeText(text, x, y);
  context.fillStyle = ink;
  context.fillText(text, x, y);
}

/** The node at a point of the canvas, with some room around it for fingers. */
export function nodeAt({ nodes }: Layout, view: View, x: number, y: number): PlacedNode | undefined {
  const away = (placed: PlacedNode) =>
    Math.hypot(placed.x * view.scale + view.left - x, placed.y * view.scale + view.top - y) - placed.radius;
  const [nearest] = [...nodes].sort((one, other) => away(one) - away(other));
  return nearest && away(nearest) < 8 ? nearest : undefined;
}

/** The next node in a direction, as arrow keys mean it. */
export function nodeBeside(
  { nodes }: Layout,
  from: PlacedNode,
  dx: number,
  dy: number,
): PlacedNode | undefined {
  const cost = ({ x, y }: PlacedNode) => {
    const ahead = (x - from.x) * dx + (y - from.y) * dy,
      aside = Math.abs((x - from.x) * dy - (y - from.y) * dx);
    return ahead <= 0.01 ? Infinity : ahead + 2 * aside;
  };
  const [best] = nodes.filter((node) => node !== from).sort((one, other) => cost(one) - cost(other));
  return best && cost(best) < Infinity ? best : undefined;
}
