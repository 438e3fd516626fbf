/** Explores every state that a model can reach, breadth first: the path to what it finds is one of the shortest. */
import { encode, type State } from "./state.ts";
import { begin, type Config, isDelivered, isOut, isToLeave, Model } from "./steps.ts";

export interface Finding {
  what: string;
  /** The names of the steps from the beginning. */
  path: string[];
}

export interface Exploration {
  states: number;
  finding?: Finding;
}

export interface ExploreOptions {
  /** More would take too long: an Error. */
  statesMax?: number;
}

/** A property that holds from now on in every state of some kind: that from there another kind of state can be reached. */
interface Liveness {
  what: string;
  from(state: State): boolean;
  to(state: State): boolean;
}

/**
 * Looks for a violation: first of what must never happen, then of what must always be possible still, by the sure steps
 * alone.
 */
export function explore(config: Config, { statesMax = 3_000_000 }: ExploreOptions = {}): Exploration {
  const model = new Model(config);
  const properties = livenessOf(config);
  const known = new Map<string, number>();
  /** Those that are not looked at yet: the others take too much memory. */
  const states: (State | undefined)[] = [];
  const parents: number[] = [];
  const codes: string[] = [];
  /** Of each state, one bit a property: it is to hold from there on; it has been reached. */
  const from: number[] = [], to: number[] = [];
  // Predecessors by sure steps, as lists: heads[state] is the place of the first in `before`, `nexts` has the others.
  const heads: number[] = [], before: number[] = [], nexts: number[] = [];
  const pathTo = (index: number): string[] => {
    const way: number[] = [];
    for (; index > 0; index = parents[index]) way.unshift(index);
    let at = begin(config);
    return way.map((index) => {
      const { name, state } = model.next(at).find(({ state }) => encode(state) === codes[index])!;
      at = state;
      return name();
    });
  };
  const note = (state: State, parent: number): number => {
    const code = encode(state);
    const found = known.get(code);
    if (found !== undefined) return found;
    const index = states.length;
    if (index === statesMax) throw new Error(`more than ${statesMax} states`);
    known.set(code, index);
    states.push(state);
    parents.push(parent);
    codes.push(code);
    from.push(properties.reduce((bits, { from }, number) => bits | Number(from(state)) << number, 0));
    to.push(properties.reduce((bits, { to }, number) => bits | Number(to(state)) << number, 0));
    heads.push(-1);
    return index;
  };
  note(begin(config), -1);
  for (let at = 0; at < states.length; at++) {
    for (const { name, state, sure, violation } of model.next(states[at]!)) {
      if (violation) {
        return { states: states.length, finding: { what: violation, path: [...pathTo(at), name()] } };
      }
      const index = note(state, at);
      if (!sure || index === at) continue;
      before.push(at);
      nexts.push(heads[index]);
      heads[index] = before.length - 1;
    }
    states[at] = undefined;
  }
  for (const [number, { what }] of properties.entries()) {
    const good = new Uint8Array(states.length);
    const todo: number[] = [];
    const reach = (index: number) => {
      if (good[index]) return;
      good[index] = 1;
      todo.push(index);
    };
    to.forEach((bits, index) => bits >> number & 1 && reach(index));
    while (todo.length > 0) {
      for (let entry = heads[todo.pop()!]; entry >= 0; entry = nexts[entry]) reach(before[entry]);
    }
    const bad = from.findIndex((bits, index) => bits >> number & 1 && !good[index]);
    if (bad >= 0) return { states: states.length, finding: { what, path: pathTo(bad) } };
  }
  return { states: states.length };
}

function livenessOf({ edges, callbacks, returns }: Config): Liveness[] {
  const byLevel = edges.every((one) => !one);
  const all: Liveness[] = [{
    what: "a reader waits for ever although there are bytes for it",
    // Without a process only who was not left waiting by the one that was killed.
    from: ({ alive, clean }) => alive || clean || byLevel,
    to: isDelivered,
  }];
  // One with callbacks may wait for its next message to leave, and one whose peer has left when the mode was taken back.
  if (!callbacks && returns === 0) {
    all.push({
      what: "a connection that is to leave never does",
      from: (state) => state.alive && isToLeave(state),
      to: isOut,
    });
  }
  return all;
}
