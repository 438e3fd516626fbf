import { load } from "../config/load.ts";
import { readConnections } from "./connections.ts";
import { explainRules } from "./explained_rules.ts";
import { Explainer } from "./explainer.ts";
import { explain, type Explained, type Explanation, type Question } from "./explanation.ts";
import { type FilterOptions, makeFilter } from "./filter.ts";
import type { Lister } from "./lister.ts";
import type { Setting } from "./step.ts";

/**
 * Explains the connections that there are.
 *
 * @param config the rules' file; that which is in use when absent
 * @throws ConfigurationError when `config` has mistakes
 */
export function explainConnections(lister: Lister, options: FilterOptions, config?: string): Explanation {
  const explainer = new Explainer(lister, config);
  const filter = makeFilter(options);
  const paired = readConnections(lister, { all: true });
  const connections = [...paired, ...explainer.alone(paired)].filter(filter);
  const explained = alike(connections.map((connection) => explainer.connection(connection)));
  return {
    config: explainer.config,
    notes: explainer.notes,
    connections: explained,
    listeners: explained.length > 0 ? [] : explainer.listeners(options),
    refused: explainer.refused(options),
  };
}

/** Explains what would become of a connection under what runs. @param config as {@link explainConnections} has it */
export function explainQuestion(lister: Lister, question: Question, config?: string): Explanation {
  const explainer = new Explainer(lister, config);
  const { config: file, notes } = explainer;
  return { config: file, notes, connections: [explainer.question(question)], listeners: [], refused: [] };
}

/** The same by the rules of a file alone. @throws ConfigurationError when it has mistakes */
export function explainByRules({ connection }: Question, config: string): Explanation {
  const setting: Setting = {
    cgroup: "mda's cgroup",
    allSockets: false,
    unknown: "learn",
    hooks: "",
    hasProcess: true,
  };
  const rules = explainRules(load(config), connection);
  const explained = explain({ setting, isInside: false, isLocal: false, rules, lanes: {} }, null);
  return { config, notes: [], connections: [explained], listeners: [], refused: [] };
}
/** Puts together what differs in nothing but addresses and counts; first those that something could be done about, the most frequent first. */
function alike(all: Explained[]): Explained[] {
  const kinds = new Map<string, Explained>();
  for (const explained of all) {
    const { client, server } = explained.connection!;
    const key = JSON.stringify([
      client.program,
      server.program,
      // A client's port says nothing, when its server is elsewhere.
      server.local.port,
      explained.connection!.state,
      explained.steps.map(({ state, reason }) => [state, reason]),
      explained.rules.map(({ matches }) => matches),
    ]);
    const kind = kinds.get(key);
    if (kind) kind.alike++;
    else kinds.set(key, explained);
  }
  const order = ({ obstacle }: Explained) =>
    !obstacle ? 1 : obstacle.step === "cgroup" ? 2 : obstacle.step === "local" ? 3 : 0;
  return [...kinds.values()].sort((one, other) => order(one) - order(other) || other.alike - one.alike);
}
