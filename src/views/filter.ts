import { parse } from "../config/parse.ts";
import { decide, type End } from "../rules/decide.ts";
import { parseAddress } from "../rules/addresses.ts";
import type { Address } from "../rules/rules.ts";
import type { Connection, ConnectionEnd } from "./connections.ts";
import type { State } from "./words.ts";

/** Which connections are wanted: of each kind of option one value must match, at either end. */
export interface FilterOptions {
  /** As in `chain` lines. */
  ip?: string[];
  port?: string[];
  uidOwner?: string[];
  gidOwner?: string[];
  pid?: number[];
  /** A program's name, or the beginning of one. */
  program?: string[];
  /** The UID of a pod, the id of a container, a unit of systemd; or the beginning of one. */
  pod?: string[];
  state?: State[];
}

export type Filter = (connection: Connection) => boolean;

/** Whether anything is asked for at all. */
export function isFiltered(
  { ip, port, uidOwner, gidOwner, pid, program, pod, state }: FilterOptions,
): boolean {
  return [ip, port, uidOwner, gidOwner, pid, program, pod, state].some((values) => values !== undefined);
}

/** @throws Error that names the option and its value when that is none */
export function makeFilter(options: FilterOptions): Filter {
  const rule = ruleOf(options);
  const { pid = [], program = [], pod = [], state = [] } = options;
  const some =
    (wanted: readonly unknown[], matches: (end: ConnectionEnd) => boolean) => (connection: Connection) =>
      wanted.length === 0 || matches(connection.client) || matches(connection.server);
  const begins = (wanted: readonly string[], ...names: (string | null | undefined)[]) =>
    names.some((name) => name && wanted.some((begin) => name.startsWith(begin)));
  const tests: Filter[] = [
    (connection) => !rule || decide([rule], toRules(connection)).rule !== undefined,
    some(pid, (end) => end.pid !== null && pid.includes(end.pid)),
    some(program, (end) => begins(program, end.program)),
    some(pod, (end) => begins(pod, end.pod, end.container, end.unit)),
    (connection) => state.length === 0 || state.includes(connection.state),
  ];
  return (connection) => tests.every((test) => test(connection));
}

/** The rule that matches what is wanted: either end may, as with -j RETURN. Undefined when nothing is asked of it. */
export function ruleOf(
  { ip = [], port = [], uidOwner = [], gidOwner = [] }: FilterOptions,
): ReturnType<typeof parse>["rules"][0] | undefined {
  const kinds = { ip, port, "uid-owner": uidOwner, "gid-owner": gidOwner };
  const words: string[] = [];
  for (const [option, values] of Object.entries(kinds)) {
    for (const value of values) {
      // Alone first, so that what is wrong is told of the option that has it.
      const { mistakes } = parse(`chain --${option} ${value} -j RETURN`);
      if (mistakes.length > 0 || /\s/.test(value)) {
        throw new Error(`Cannot use --${option} ${value}: ${mistakes[0]?.what ?? "it has a space"}`);
      }
      words.push(`--${option} ${value}`);
    }
  }
  if (words.length === 0) return undefined;
  const { rules: [rule], mistakes } = parse(`chain ${words.join(" ")} -j RETURN`);
  if (mistakes.length > 0) throw new Error(`Cannot use the filter: ${mistakes[0].what}`);
  return rule;
}

/** A connection as rules see it. */
export function toRules({ client, server }: Connection): { client: End; server: End } {
  const end = (self: ConnectionEnd, peer: ConnectionEnd): End => ({
    addresses: [self.local.address, peer.remote.address].map(parseAddress).filter((
      address,
    ): address is Address => address !== undefined),
    ports: [self.local.port, peer.remote.port],
    uid: self.uid ?? undefined,
    gid: self.gid ?? undefined,
  });
  return { client: end(client, server), server: end(server, client) };
}
