import { load } from "../config/load.ts";
import { enums, layouts } from "../generated/layouts.ts";
import { processName } from "../host/process.ts";
import { surroundingsOfProcess } from "../host/container.ts";
import { readStruct, readU64, writeStruct } from "../libbpf/struct.ts";
import { formatAddress } from "../rules/addresses.ts";
import type { Connection as Asked } from "../rules/decide.ts";
import type { Rule } from "../rules/rules.ts";
import { type Instance, readInstance } from "../state/instance.ts";
import { unknownName } from "../state/programs.ts";
import { visible } from "../text/visible.ts";
import { type Connection, type ConnectionEnd, readConnections } from "./connections.ts";
import { type Endpoint, endpointOf } from "./endpoints.ts";
import { type ExplainedRules, explainRules } from "./explained_rules.ts";
import { type FilterOptions, makeFilter, ruleOf, toRules } from "./filter.ts";
import type { ListedLane, ListedSocket, Lister } from "./lister.ts";
import { type EndFacts, type Facts, firstObstacle, type Setting, type Step, stepsFor } from "./steps.ts";
import { isInside, named, reasonNamed, Verdicts } from "./why.ts";
import { type Executable, readPast } from "./worth.ts";

const { LISTEN, ESTABLISHED, CLOSE_WAIT } = { ESTABLISHED: 1, CLOSE_WAIT: 8, LISTEN: 10 };

/** What becomes of a connection, or of several that are alike, step by step. */
export interface Explained {
  /** The first of them; null for one that is not there. */
  connection: Connection | null;
  /** How many it holds for. */
  alike: number;
  /** Whether nothing stands in its way. */
  accelerated: boolean;
  steps: Step[];
  /** The rules, each with what it has to do with the connection. */
  rules: ExplainedRules["rules"];
  /** The first of the steps that it does not get past; null when there is none. */
  obstacle: Step | null;
}

/** A program that waits for connections. */
export interface ExplainedListener {
  program: string | null;
  pid: number;
  local: Endpoint;
  netns: number;
  steps: Step[];
}

/** Connections that were left to TCP at their handshake since the start, for one reason. */
export interface RefusedKind {
  /** Who listens; null when that is not known. */
  program: string | null;
  port: number;
  reason: string;
  count: number;
  words: string;
  remedy: string;
}

export interface Explanation {
  /** The file with the rules. */
  config: string;
  /** What is to be known of the rest. */
  notes: string[];
  connections: Explained[];
  /** Of what was asked for, when there are no connections to it. */
  listeners: ExplainedListener[];
  refused: RefusedKind[];
}

/** What --src and --dst ask about. */
export interface Question {
  connection: Asked;
  /** The port that a listener would have; undefined when none is given. */
  port?: number;
}

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

function explain(facts: Facts, connection: Connection | null): Explained {
  const steps = stepsFor(facts);
  const obstacle = firstObstacle(steps);
  return {
    connection,
    alike: 1,
    accelerated: obstacle === null,
    steps,
    rules: "error" in facts.rules ? [] : facts.rules.rules,
    obstacle,
  };
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

/** What all explanations have in common, read once. */
class Explainer {
  readonly config: string;
  readonly notes: string[] = [];
  readonly #rules: Rule[] | { error: string };
  readonly #setting: Setting;
  readonly #sockets = new Map<string, ListedSocket>();
  readonly #lanes = new Map<string, ListedLane>();
  readonly #listeners: ListedSocket[] = [];
  readonly #names = new Map<number, string | undefined>();

  constructor(private readonly lister: Lister, config: string | undefined) {
    const instance = readInstance(lister.map("instance"));
    this.config = config ?? instance.config;
    this.#rules = config === undefined ? this.#rulesInUse(instance) : load(config);
    this.#setting = {
      cgroup: instance.cgroup,
      allSockets: instance.all_sockets !== 0,
      unknown: unknownName(instance.unknown_programs),
      hooks: instance.hooks,
      hasProcess: instance.pid !== 0,
    };
    // The first of several descriptors, as readConnections() has it.
    for (const socket of lister.sockets()) {
      if (socket.state === LISTEN) this.#listeners.push(socket);
      else if (!this.#sockets.has(keyOf(socket))) this.#sockets.set(keyOf(socket), socket);
    }
    for (const lane of lister.lanes()) this.#lanes.set(keyOf(lane), lane);
  }

  #rulesInUse({ config, rules }: Instance): Rule[] | { error: string } {
    try {
      const read = load(config);
      if (read.length !== rules) {
        this.notes.push(
          `${config} has ${read.length} rules now, and ${rules} are in force: mda reload, or what the rules say here is not what holds`,
        );
      }
      return read;
    } catch (error) {
      const [line] = (error as Error).message.split("\n");
      return { error: `which rules there are is not known: ${line}` };
    }
  }

  connection(connection: Connection): Explained {
    const { client, server } = connection;
    const clientSocket = this.#sockets.get(keyOfEnd(client)),
      serverSocket = this.#sockets.get(keyOfEnd(server));
    const listener = this.#listenerOf(server, serverSocket) ??
      (server.netns === 0 ? this.#listenerOf({ ...server, netns: client.netns }) : undefined);
    return explain({
      setting: this.#setting,
      verdict: connection,
      isInside: isInside(connection),
      client: clientSocket && this.#facts(clientSocket),
      server: serverSocket && this.#facts(serverSocket),
      listener: listener && this.#facts(listener),
      // Who is known to have been answered here has its other end here, whoever has that now.
      isLocal: connection.state !== "outside" || (client.netns !== 0 && server.netns !== 0),
      rules: this.#explainedRules(toRules(connection)),
      past: this.#past(clientSocket, listener ?? serverSocket, server.local.port),
      lanes: { client: this.#lanes.get(keyOfEnd(client)), server: this.#lanes.get(keyOfEnd(server)) },
    }, connection);
  }

  question({ connection, port }: Question): Explained {
    const matching = port === undefined ? [] : this.#listeners.filter(({ local }) =>
      local.port === port &&
      (isAny(local.address) ||
        connection.server.addresses.some((address) => formatAddress(address) === endpointOf(local).address))
    );
    const listener = matching[0] && this.#facts(matching[0]);
    if (matching.length > 1) {
      this.notes.push(`${matching.length} listeners have this address; told of ${listener.who}`);
    }
    return explain({
      setting: this.#setting,
      isInside: false,
      listener,
      isLocal: false,
      rules: this.#explainedRules(connection),
      lanes: {},
    }, null);
  }

  /** Sockets of which no other end is seen. */
  alone(paired: Connection[]): Connection[] {
    const seen = new Set(paired.flatMap(({ client, server }) => [keyOfEnd(client), keyOfEnd(server)]));
    const verdicts = new Verdicts(this.lister);
    return [...this.#sockets].filter(([key, { state }]) =>
      !seen.has(key) && (state === ESTABLISHED || state === CLOSE_WAIT)
    ).map(([, socket]) => {
      const known = this.#end(socket), other = unseenPeer(known);
      const isServer = this.#listenerOf(known, socket) !== undefined;
      const verdict = verdicts.of({ socket }, {});
      return {
        id: String(socket.cookie),
        ...(verdict.state === "outside" ? { ...verdict, ...reasonNamed("refused", "not_local") } : verdict),
        age: null,
        idle: null,
        client: isServer ? other : known,
        server: isServer ? known : other,
      };
    });
  }

  listeners(options: FilterOptions): ExplainedListener[] {
    const filter = makeFilter(options);
    const all = this.#listeners.map((socket) => ({ socket, end: this.#end(socket) })).filter(({ end }) => {
      const other = unseenPeer(end);
      return filter({
        id: "",
        state: "outside",
        reason: null,
        why: "",
        age: null,
        idle: null,
        client: other,
        server: end,
      });
    });
    // One that several processes have is one.
    const once = new Map(all.map((listener) => [listener.socket.sock, listener]));
    return [...once.values()].map(({ socket, end: { program, local, netns } }) => ({
      program,
      pid: socket.pid,
      local,
      netns,
      steps: stepsFor({
        setting: this.#setting,
        isInside: false,
        listener: this.#facts(socket),
        isLocal: false,
        rules: { error: "depends on the client" },
        lanes: {},
      }).filter(({ step }) => ["cgroup", "protocol", "mode", "programs"].includes(step)),
    }));
  }

  /** Of the port that is asked for, or of programs that are. */
  refused({ port, pid, program }: FilterOptions): RefusedKind[] {
    const ranges = port && ruleOf({ port })!.ports;
    const isAsked = pid !== undefined || program !== undefined;
    const wanted = new Set(
      [...this.#listeners, ...this.#sockets.values()].filter((socket) =>
        pid?.includes(socket.pid) || program?.some((begin) => this.#name(socket.pid)?.startsWith(begin))
      ).map(({ executable }) => idOf(executable)),
    );
    const kinds = this.lister.map("refused_kinds");
    return [...kinds.keys()].map((key) => ({
      kind: readStruct(layouts, "refused_kind", key),
      value: kinds.lookup(key),
    }))
      .filter(({ kind, value }) =>
        value && (!ranges || ranges.some(({ first, last }) => first <= kind.port && kind.port <= last)) &&
        (!isAsked || wanted.has(idOf(kind.server)))
      ).map(({ kind, value }) => {
        const { reason, why, remedy } = named("refused", kind.reason)!;
        return {
          program: this.#program(kind.server)?.name ?? null,
          port: kind.port,
          reason: reason!,
          count: Number(readU64(value!)),
          words: why,
          remedy: remedy!,
        };
      }).sort((one, other) => other.count - one.count);
  }

  #explainedRules(asked: Asked): Facts["rules"] {
    return "error" in this.#rules ? this.#rules : explainRules(this.#rules, asked);
  }

  #past(client: ListedSocket | undefined, server: ListedSocket | undefined, port: number): Facts["past"] {
    return client && server && readPast(this.lister.map("pasts"), client.executable, server.executable, port);
  }

  #program(executable: Executable) {
    const bytes = this.lister.map("programs").lookup(writeStruct(layouts, "executable", executable));
    return bytes && readStruct(layouts, "program", bytes);
  }

  #facts(socket: ListedSocket): EndFacts {
    const program = this.#program(socket.executable);
    return {
      who: `${visible(this.#name(socket.pid) ?? "?")}[${socket.pid}]`,
      inCgroup: socket.in_cgroup !== 0,
      blocking: socket.blocking !== 0,
      protocol: socket.protocol !== 0,
      isKernels: socket.is_kernels !== 0,
      inSockmap: socket.in_sockmap !== 0,
      habit: program?.habit ?? enums.habit.HABIT_UNKNOWN,
      inCode: program?.in_code ?? 0,
      messages: program?.messages ?? 0,
    };
  }

  #name(pid: number): string | undefined {
    if (!this.#names.has(pid)) this.#names.set(pid, processName(pid));
    return this.#names.get(pid);
  }

  #listenerOf({ netns, local }: ConnectionEnd, server?: ListedSocket): ListedSocket | undefined {
    const possible = this.#listeners.filter((listener) =>
      listener.netns === netns && listener.local.port === local.port &&
      (isAny(listener.local.address) || endpointOf(listener.local).address === local.address)
    );
    // Several processes have it: best told of who has accepted.
    return possible.find(({ pid }) => pid === server?.pid) ?? possible[0];
  }

  #end(socket: ListedSocket): ConnectionEnd {
    const { netns, pid, owner: { uid, gid } } = socket;
    return {
      local: endpointOf(socket.local),
      remote: endpointOf(socket.remote),
      netns,
      pid,
      program: this.#name(pid) ?? null,
      ...surroundingsOfProcess(pid),
      uid,
      gid,
      redirected: null,
      tcp: null,
      unread: { redirected: 0, tcp: socket.tcp_unread },
    };
  }
}

/** The other end of one, as far as that one tells. */
function unseenPeer({ local, remote }: ConnectionEnd): ConnectionEnd {
  return {
    local: remote,
    remote: local,
    netns: 0,
    pid: null,
    program: null,
    uid: null,
    gid: null,
    redirected: null,
    tcp: null,
    unread: { redirected: 0, tcp: 0 },
  };
}

/** No two sockets that are connected have the same. */
function keyOf({ netns, local, remote }: Pick<ListedSocket, "netns" | "local" | "remote">): string {
  return keyOfEnd({ netns, local: endpointOf(local), remote: endpointOf(remote) });
}

function keyOfEnd({ netns, local, remote }: Pick<ConnectionEnd, "netns" | "local" | "remote">): string {
  return JSON.stringify([netns, local.address, local.port, remote.address, remote.port]);
}

const isAny = (address: Uint8Array) => address.every((byte) => byte === 0);
const idOf = ({ inode, device, generation }: Executable) => `${inode} ${device} ${generation}`;
