import { load } from "../config/load.ts";
import { formatAddress } from "../rules/addresses.ts";
import type { Connection as Asked } from "../rules/decide.ts";
import type { Rule } from "../rules/rules.ts";
import { type Instance, readInstance } from "../state/instance.ts";
import { unknownName } from "../state/programs.ts";
import type { Connection, ConnectionEnd } from "./connections.ts";
import { endpointOf } from "./endpoints.ts";
import { explainRules } from "./explained_rules.ts";
import {
  explain,
  type Explained,
  type ExplainedListener,
  type Question,
  type RefusedKind,
} from "./explanation.ts";
import { type FilterOptions, makeFilter, ruleOf, toRules } from "./filter.ts";
import type { ListedSocket, Lister } from "./lister.ts";
import { readRefusedKinds } from "./refused_kinds.ts";
import { isAny, keyOfEnd, SeenSockets } from "./seen_sockets.ts";
import type { Facts, Setting } from "./step.ts";
import { stepsFor } from "./steps.ts";
import { isInside, named, reasonNamed, Verdicts } from "./why.ts";
import { type Executable, readPast } from "./worth.ts";

const { ESTABLISHED, CLOSE_WAIT } = { ESTABLISHED: 1, CLOSE_WAIT: 8 };

/** What all explanations have in common, read once. */
export class Explainer {
  readonly config: string;
  readonly notes: string[] = [];
  readonly #rules: Rule[] | { error: string };
  readonly #setting: Setting;
  readonly #seen: SeenSockets;

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
    this.#seen = new SeenSockets(lister);
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
    const clientSocket = this.#seen.connected.get(keyOfEnd(client)),
      serverSocket = this.#seen.connected.get(keyOfEnd(server));
    const listener = this.#seen.listenerOf(server, serverSocket) ??
      (server.netns === 0 ? this.#seen.listenerOf({ ...server, netns: client.netns }) : undefined);
    return explain({
      setting: this.#setting,
      verdict: connection,
      isInside: isInside(connection),
      client: clientSocket && this.#seen.facts(clientSocket),
      server: serverSocket && this.#seen.facts(serverSocket),
      listener: listener && this.#seen.facts(listener),
      // Who is known to have been answered here has its other end here, whoever has that now.
      isLocal: connection.state !== "outside" || (client.netns !== 0 && server.netns !== 0),
      rules: this.#explainedRules(toRules(connection)),
      past: this.#past(clientSocket, listener ?? serverSocket, server.local.port),
      lanes: {
        client: this.#seen.lanes.get(keyOfEnd(client)),
        server: this.#seen.lanes.get(keyOfEnd(server)),
      },
    }, connection);
  }

  question({ connection, port }: Question): Explained {
    const matching = port === undefined
      ? []
      : this.#seen.listeners.filter(({ local }) =>
        local.port === port &&
        (isAny(local.address) ||
          connection.server.addresses.some((address) => formatAddress(address) === endpointOf(local).address))
      );
    const listener = matching[0] && this.#seen.facts(matching[0]);
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
    return [...this.#seen.connected].filter(([key, { state }]) =>
      !seen.has(key) && (state === ESTABLISHED || state === CLOSE_WAIT)
    ).map(([, socket]) => {
      const known = this.#seen.end(socket), other = unseenPeer(known);
      const isServer = this.#seen.listenerOf(known, socket) !== undefined;
      const verdict = verdicts.of({ socket }, {});
      return {
        id: String(socket.cookie),
        ...(verdict.state === "outside" ? { ...verdict, ...reasonNamed("refused", "not_local") } : verdict),
        joined: null,
        age: null,
        idle: null,
        client: isServer ? other : known,
        server: isServer ? known : other,
      };
    });
  }

  listeners(options: FilterOptions): ExplainedListener[] {
    const filter = makeFilter(options);
    const all = this.#seen.listeners.map((socket) => ({ socket, end: this.#seen.end(socket) })).filter(
      ({ end }) => {
        const other = unseenPeer(end);
        return filter({
          id: "",
          state: "outside",
          reason: null,
          why: "",
          joined: null,
          age: null,
          idle: null,
          client: other,
          server: end,
        });
      },
    );
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
        listener: this.#seen.facts(socket),
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
      [...this.#seen.listeners, ...this.#seen.connected.values()].filter((socket) =>
        pid?.includes(socket.pid) || program?.some((begin) => this.#seen.name(socket.pid)?.startsWith(begin))
      ).map(({ executable }) => idOf(executable)),
    );
    return readRefusedKinds((name) => this.lister.map(name))
      .filter(({ kind }) =>
        (!ranges || ranges.some(({ first, last }) => first <= kind.port && kind.port <= last)) &&
        (!isAsked || wanted.has(idOf(kind.server)))
      ).map(({ kind, count }) => {
        const { reason, why, remedy } = named("refused", kind.reason)!;
        return {
          program: this.#seen.program(kind.server)?.name ?? null,
          port: kind.port,
          reason: reason!,
          count,
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

/** A program's file, to be compared. */
const idOf = ({ inode, device, generation }: Executable) => `${inode} ${device} ${generation}`;
