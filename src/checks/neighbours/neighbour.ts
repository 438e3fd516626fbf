/** A BPF program, not of this mda, that is called for the same sockets or may have them in a sockmap. */
export interface Neighbour {
  kind: "mda" | "sockops" | "sk_msg" | "sk_skb";
  /** At most 15 characters, as the kernel keeps it; null when that cannot be told. Of an mda "mda". */
  name: string | null;
  /** The program's number. */
  id: number;
  /** The directories of cgroups, or the sockmaps: `sockhash sock_dir (id 12)`. */
  attached: string[];
  /** Paths of the program, its links and sockmaps; of an mda its directory. */
  pinned: string[];
  /** Who has one of these open. */
  processes: { pid: number; name: string }[];
}

export interface Neighbours {
  found: Neighbour[];
  /** What could not be found out, and why. */
  unknown: string[];
}

/** Which neighbour it is, and where. */
export function placeOfNeighbour({ kind, name, id, attached, pinned, processes }: Neighbour): string {
  const what = kind === "mda" ? "another mda" : `${kind} program ${name ?? "of unknown name"}`;
  const where = [
    attached.length > 0 ? `on ${attached.join(", ")}` : "attached to nothing that mda sees",
    processes.length > 0
      ? `of ${processes.map(({ pid, name }) => `process ${pid} (${name})`).join(", ")}`
      : "of no process that mda sees",
    pinned.length > 0 ? `pinned at ${pinned.join(", ")}` : "pinned nowhere that mda sees",
  ];
  return `${what} (id ${id}) ${where.join(", ")}`;
}

/** What mda says of a neighbour, and what to do. */
export function describeNeighbour(neighbour: Neighbour): string {
  return `neighbour: ${placeOfNeighbour(neighbour)}: ${meanings[neighbour.kind]} (docs/troubleshooting.md)`;
}

const firstKeeps =
  "who has a socket first keeps it, and mda leaves the other's on TCP (refused: other sockmap)";
const meanings: Record<Neighbour["kind"], string> = {
  mda: `${firstKeeps}; one of the two is enough, or rules that part the connections`,
  sockops:
    "it may put the same connections into a sockmap, or ask for other callbacks; a RETURN rule leaves them to it",
  sk_msg: `${firstKeeps}; a RETURN rule leaves to it what it must have`,
  sk_skb: "it may take what the same connections receive out of TCP; a RETURN rule leaves them to it",
};
