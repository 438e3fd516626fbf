import { wrap } from "../text/lines.ts";
import { shortCount, shortDuration } from "../text/units.ts";
import type { Rates } from "../views/growth.ts";
import type { KeptOff } from "../views/kept_off.ts";
import type { Neighbour } from "../checks/neighbours/neighbour.ts";
import type { Status } from "../views/status.ts";

/** What `mda status -o json` prints. */
export interface StatusReport extends Status {
  /** Other BPF programs that share sockets with it, while it is enabled; see docs/troubleshooting.md. */
  neighbours: Neighbour[];
  /** The first three reasons that keep traffic off. */
  kept_off: KeptOff[];
  /** With --watch, from the second time on: a second's worth of what is counted. */
  rates?: Rates;
}

/** A line for each number; of the reasons why something went to TCP, and of the rules, those that there were. */
export function toTable(
  {
    enabled,
    cgroup,
    rules,
    process,
    since,
    connections,
    redirected,
    decided,
    programs,
    passed,
    refused,
    refused_errors,
    left,
    passing,
    neighbours,
    kept_off,
    rates,
  }: StatusReport,
): string {
  const { seconds: _, ...counted } = rates ?? { seconds: 0 };
  const perSecond = new Map(rowsOf({ ...counted }, (rate) => rate));
  const rows = [
    ["enabled", enabled ? "yes" : "no"],
    ["cgroup", cgroup || "none"],
    ["rules", count(rules)],
    ["process", process === null ? "none" : String(process)],
    ["since", since === null ? "none" : `${since} (${age(since)})`],
    ...rowsOf({ connections, redirected }, count),
    ...[
      ...rowsOf({ passed, refused }, count),
      ...Object.entries(refused_errors).map((
        [error, connections],
      ) => [`refused: error ${error} from bpf_sock_hash_update`, count(connections)]),
      ...rowsOf({ left }, count),
      ...decided.map((connections, rule) => [`decided: rule ${rule + 1}`, count(connections)]),
    ].filter(([_name, value]) => value !== "0"),
    ["programs: hooks", programs.hooks],
    ["programs: unknown", programs.unknown],
    ["programs: accelerated", count(programs.accelerated)],
    ["programs: learning", count(programs.learning)],
    ...programs.left.map(({ name, why }) => [`programs: ${why}`, name]),
    ...passing.map(({ filter, process, until }) => [
      "on request by TCP",
      `${filter}, ${until === null ? "" : `until ${until.slice(0, 19)}Z, `}process ${process}`,
    ]),
    ...neighbours.flatMap(rowsOfNeighbour),
  ];
  const width = Math.max(...rows.map(([name]) => name!.length));
  const valueWidth = Math.max(
    ...rows.filter(([name]) => perSecond.has(name!)).map(([, value]) => value.length),
  );
  return rows.map(([name, value]) => {
    const rate = perSecond.get(name);
    const shown = rate === undefined ? value : `${value.padEnd(valueWidth)}  ${shortCount(rate)}/s`;
    return `${name!.padEnd(width)}  ${shown}\n`;
  }).concat(kept_off.flatMap((reason) => linesOfReason(reason, width))).join("");
}

/** Sentences do not grow wider than a terminal. */
const COLUMNS = 80;

/** What most is kept off by, and below it what would remove that. */
function linesOfReason({ reason, share, words, remedy }: KeptOff, width: number): string[] {
  const [group, name] = reason.split(" ");
  const percent = share < 0.01 ? "less than 1" : `${Math.round(share * 100)}`;
  const what = { refused: "connections", left: "sockets", passed: "messages" }[group];
  const sentence = `${group}: ${name.replaceAll("_", " ")}, ${percent} % of ${what}: ${words}`;
  return [sentence, `→ ${remedy}`]
    .flatMap((text) => wrap(text, COLUMNS - width - 2))
    .map((line, index) => `${(index === 0 ? "most kept off by" : "").padEnd(width)}  ${line}\n`);
}

const age = (since: string) => `${shortDuration(Math.max(0, Date.now() - Date.parse(since)) / 1000)} ago`;

/** Its name, and below it each place where it is. */
function rowsOfNeighbour({ kind, name, id, attached, pinned, processes }: Neighbour): string[][] {
  const places = [
    ...attached.map((place) => `on ${place}`),
    ...pinned.map((path) => `pinned at ${path}`),
    ...processes.map(({ pid, name }) => `process ${pid} (${name})`),
  ];
  return [
    [`neighbours: ${kind}`, `${name ?? "unknown"} (id ${id})`],
    ...places.map((place) => ["", place]),
  ];
}

/** `passed peer_left` as "passed: peer left" */
function rowsOf<Value>(
  groups: Record<string, Record<string, number>>,
  shown: (value: number) => Value,
): [string, Value][] {
  return Object.entries(groups).flatMap(([group, numbers]) =>
    Object.entries(numbers).map(([name, value]): [string, Value] => [
      `${group}: ${name.replaceAll("_", " ")}`,
      shown(value),
    ])
  );
}

const count = (value: number) => value.toLocaleString("en");
