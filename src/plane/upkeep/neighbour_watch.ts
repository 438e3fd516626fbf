import { getLogger } from "@logtape/logtape";
import { sockopsProgramsOf } from "../../libbpf/kernel_objects.ts";
import { openCgroup } from "../../host/cgroup.ts";
import { findNeighbours, type SearchOptions } from "../../checks/neighbours/find.ts";
import { describeNeighbour, type Neighbours } from "../../checks/neighbours/neighbour.ts";

const log = getLogger("mda");

/** Others have the processor for so long between two turns of a search. */
const PAUSE_MS = 8;
/** How often it is looked whether another sockops program was attached. */
const LOOK_MS = 2000;
/** How soon they are looked for again while connections are refused because of them. */
const AGAIN_MS = 300_000;

/** Says who the neighbours of a data plane are, a line each. Never fails. */
export async function reportNeighbours(where: SearchOptions): Promise<void> {
  report(await search(where));
}

/**
 * Says who they are when a data plane has started, when a sockops program is attached later, and when connections begin to be
 * refused because another has their sockets.
 */
export class NeighbourWatch {
  /** The last search: one is made after the other. */
  searched: Promise<void> = Promise.resolve();
  #attached: string | undefined;
  #refused: number | undefined;
  #soonest = 0;
  /** Whose line was logged, by the program's number. */
  readonly #said = new Set<number>();
  #lastSaid = "";

  constructor(private readonly where: SearchOptions & { signal: AbortSignal }) {}

  /** Looks whether others have come; returns in how many milliseconds to look again. */
  look(): number {
    const attached = programsInEffect(this.where.cgroup);
    if (attached !== this.#attached) {
      const first = this.#attached === undefined;
      this.#search({}, ({ found, unknown }) => {
        const others = found.filter(({ id }) => !this.#said.has(id));
        this.#say({ found: others, unknown: first ? unknown : [] });
      });
    }
    this.#attached = attached;
    return LOOK_MS;
  }

  /** @param connections how many were refused so far because another sockmap has a socket of theirs */
  refused(connections: number): void {
    const grows = this.#refused !== undefined && connections > this.#refused;
    this.#refused = connections;
    if (!grows || performance.now() < this.#soonest) return;
    this.#soonest = performance.now() + AGAIN_MS;
    this.#search({ detached: true }, ({ found, unknown }) => {
      const now = `refused by ${found.map(({ id }) => id).join()}`;
      if (now === this.#lastSaid) return;
      this.#lastSaid = now;
      const who = found.length > 0
        ? ":"
        : `; who that is could not be found${unknown.length > 0 ? `: ${unknown.join("; ")}` : ""}`;
      log.warn(`connections stay on TCP because others have their sockets (refused: other sockmap)${who}`);
      this.#say({ found, unknown: [] });
    });
  }

  #say(neighbours: Neighbours): void {
    for (const { id } of neighbours.found) this.#said.add(id);
    report(neighbours);
  }

  #search(how: { detached?: boolean }, action: (found: Neighbours) => void): void {
    this.searched = this.searched.then(async () => {
      const found = await search({ ...this.where, ...how, pauseMs: PAUSE_MS });
      if (!this.where.signal.aborted) action(found);
    });
  }
}

async function search(where: SearchOptions): Promise<Neighbours> {
  try {
    return await findNeighbours(where);
  } catch (error) {
    return { found: [], unknown: [(error as Error).message] };
  }
}

function report({ found, unknown }: Neighbours): void {
  for (const neighbour of found) log.warn(describeNeighbour(neighbour));
  if (unknown.length > 0) {
    log.info(`there may be neighbours that mda does not know of: ${unknown.join("; ")}`);
  }
}

/** The sockops programs that run for a cgroup's sockets, as a text to compare. */
function programsInEffect(cgroup: string): string {
  try {
    using directory = openCgroup(cgroup);
    return sockopsProgramsOf(directory.fd, { effective: true }).join();
  } catch {
    // It was removed, which is said elsewhere, or the kernel refuses, which the search says.
    return "";
  }
}
