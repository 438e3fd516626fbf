/// <reference lib="dom" />
// @ts-types="@types/d3-force"
import {
  forceCollide,
  forceLink,
  forceManyBody,
  forceSimulation,
  forceX,
  forceY,
  type SimulationLinkDatum,
  type SimulationNodeDatum,
} from "d3-force";
import type { Graph, GraphEdge, GraphNode } from "./graph.ts";

/** A node at its place. */
export interface PlacedNode extends SimulationNodeDatum {
  node: GraphNode;
  x: number;
  y: number;
  radius: number;
}

/** An edge between two of them. */
export interface PlacedEdge extends SimulationLinkDatum<PlacedNode> {
  edge: GraphEdge;
  source: PlacedNode;
  target: PlacedNode;
}

const MANY = 120;

/** Where nodes are. They stay where they were when others come and go. */
export class Layout {
  nodes: PlacedNode[] = [];
  edges: PlacedEdge[] = [];
  readonly #simulation = forceSimulation<PlacedNode>().stop();
  #shape = "";

  /** Takes what is to be placed. Returns whether nodes are going to move. */
  take(graph: Graph): boolean {
    const known = new Map(this.nodes.map((placed) => [placed.node.id, placed]));
    this.nodes = graph.nodes.map((node, place) => {
      const radius = 6 +
        Math.min(14, 2 * Math.log10(1 + node.messages) + Math.log2(1 + node.connections) / 2);
      // Around the middle as the seeds of a sunflower: never two at one place, and alike each time.
      const angle = place * 2.399963, far = 14 * Math.sqrt(place + 0.5);
      return Object.assign(known.get(node.id) ?? { x: far * Math.cos(angle), y: far * Math.sin(angle) }, {
        node,
        radius,
      }) as PlacedNode;
    });
    const byId = new Map(this.nodes.map((placed) => [placed.node.id, placed]));
    this.edges = graph.edges.map((edge) => ({
      edge,
      source: byId.get(edge.source)!,
      target: byId.get(edge.target)!,
    }));
    const shape = [...byId.keys(), "", ...graph.edges.map(({ id }) => id)].join("\n");
    if (shape === this.#shape) return false;
    this.#shape = shape;
    this.#begin();
    return true;
  }

  #begin(): void {
    const isMany = this.nodes.length > MANY;
    this.#simulation.nodes(this.nodes)
      .force("links", forceLink<PlacedNode, PlacedEdge>(this.edges).distance(isMany ? 45 : 110).iterations(1))
      .force("apart", forceManyBody<PlacedNode>().strength(isMany ? -60 : -350).theta(1).distanceMax(400))
      .force("room", isMany ? null : forceCollide<PlacedNode>(({ radius }) => radius + 8))
      .force("x", forceX<PlacedNode>().strength(0.06))
      .force("y", forceY<PlacedNode>().strength(0.09))
      .alphaDecay(0.035)
      .alpha(this.#simulation.alpha() < 0.5 ? 0.8 : 1);
  }

  /** Moves nodes by a step. Returns whether they go on moving. */
  step(): boolean {
    if (this.nodes.length === 0 || this.#simulation.alpha() < this.#simulation.alphaMin()) return false;
    this.#simulation.tick();
    return true;
  }

  /** Moves them to where they come to rest, at once. */
  settle(): void {
    while (this.step());
  }
}
