import type { Neighbour } from "../checks/neighbours/neighbour.ts";
import type { Status } from "../views/status.ts";

/** What `mda status -o json` prints. */
export interface StatusReport extends Status {
  /** Other BPF programs that share sockets with it, while it is enabled; see docs/troubleshooting.md. */
  neighbours: Neighbour[];
}

/** A line for each number; of the reasons why something went to TCP, and of the rules, those that there were. */
export function toTable(
  {
    enabled,
    cgroup,
    rules,
    process,
    connections,
    redirected,
    decided,
    programs,
    passed,
    refused,
    refused_errors,
    left,
    neighbours,
  }: StatusReport,
): string {
  const rows = [
    ["enabled", enabled ? "yes" : "no"],
    ["cgroup", cgroup || "none"],
    ["rules", count(rules)],
    ["process", process === null ? "none" : String(process)],
    ...rowsOf({ connections, redirected }),
    ...[
      ...rowsOf({ passed, refused }),
      ...Object.entries(refused_errors).map((
        [error, connections],
      ) => [`refused: error ${error} from bpf_sock_hash_update`, count(connections)]),
      ...rowsOf({ left }),
      ...decided.map((connections, rule) => [`decided: rule ${rule + 1}`, count(connections)]),
    ].filter(([_name, value]) => value !== "0"),
    ["programs: hooks", programs.hooks],
    ["programs: unknown", programs.unknown],
    ["programs: accelerated", count(programs.accelerated)],
    ["programs: learning", count(programs.learning)],
    ...programs.left.map(({ name, why }) => [`programs: ${why}`, name]),
    ...neighbours.flatMap(rowsOfNeighbour),
  ];
  const width = Math.max(...rows.map(([name]) => name!.length));
  return rows.map(([name, value]) => `${name!.padEnd(width)}  ${value}\n`).join("");
}

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
function rowsOf(groups: Record<string, Record<string, number>>): string[][] {
  return Object.entries(groups).flatMap(([group, numbers]) =>
    Object.entries(numbers).map(([name, value]) => [`${group}: ${name.replaceAll("_", " ")}`, count(value)])
  );
}

const count = (value: number) => value.toLocaleString("en");
