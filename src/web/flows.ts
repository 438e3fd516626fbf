import { placeOf, type Rated, sumOf } from "../views/rates.ts";
import type { ConnectionEnd } from "../views/connections.ts";
import { isInside } from "../views/why.ts";
import type { Flow, Node } from "./moment.ts";

/** More nobody can look at, and every page is sent them each time. */
const FLOWS_MAX = 2000;

/** Whether a connection's messages go past TCP: most of them, as one a second of an accelerated one does not. */
export function isAccelerated({ connection, rate }: Rated): boolean {
  if (!isInside(connection)) return false;
  if (rate && rate.messages + rate.tcp > 0) return rate.messages >= rate.tcp;
  return connection.state === "redirected" || connection.state === "idle";
}

/** Puts connections together by their programs and places, the port, and the way that they go. */
export function flowsOf(connections: Rated[]): { nodes: Node[]; flows: Flow[]; leftOut: number } {
  const nodes = new Nodes();
  const groups = new Map<
    string,
    { members: Rated[]; flow: Pick<Flow, "client" | "server" | "port" | "accelerated"> }
  >();
  for (const rated of connections) {
    const { connection } = rated;
    const flow = {
      client: nodes.placeOf(connection.client),
      server: nodes.placeOf(connection.server),
      port: connection.server.local.port,
      accelerated: isAccelerated(rated),
    };
    const key = `${flow.client} ${flow.server} ${flow.port} ${flow.accelerated}`;
    const group = groups.get(key);
    if (group) group.members.push(rated);
    else groups.set(key, { members: [rated], flow });
  }
  const flows = [...groups.values()].map(({ members, flow }): Flow => ({
    ...flow,
    connections: members.length,
    rate: sumOf(members.map(({ rate }) => rate)),
    states: statesOf(members),
  }));
  const leftOut = Math.max(0, flows.length - FLOWS_MAX);
  if (leftOut > 0) flows.sort((one, other) => weight(other) - weight(one)).splice(FLOWS_MAX);
  return { nodes: nodes.all, flows, leftOut };
}

function weight({ rate, connections }: Flow): number {
  return (rate ? rate.messages + rate.tcp : 0) + connections / 1000;
}

/** Numbers each program at each place. */
class Nodes {
  readonly all: Node[] = [];
  readonly #places = new Map<string, number>();

  placeOf(end: ConnectionEnd): number {
    const program = end.program ?? "?", place = placeOf(end);
    // No name has a zero byte in it.
    const key = `${program}\0${place}`;
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    this.#places.set(key, this.all.length);
    return this.all.push({ program, place }) - 1;
  }
}

function statesOf(members: Rated[]): Flow["states"] {
  const states = new Map<string, Flow["states"][number]>();
  for (const { connection: { state, reason, why, remedy } } of members) {
    const key = `${state}\0${reason}`;
    const known = states.get(key);
    if (known) known.connections++;
    else states.set(key, { state, reason, why, ...remedy && { remedy }, connections: 1 });
  }
  return [...states.values()].sort((one, other) => other.connections - one.connections);
}
