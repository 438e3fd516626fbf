import { getLogger } from "@logtape/logtape";
import { plural } from "../../text/plural.ts";
import type { DataPlane } from "../data_plane.ts";
import { adoptConnections } from "../sockets/adopt.ts";
import { once } from "./repeat.ts";
import type { Shortage } from "./shortage.ts";

const log = getLogger("mda");

/** How often it is looked for connections to adopt; the search takes at most one part in so many of the time. */
export const ADOPT_MS = 2000;
const ADOPT_SHARE = 50;
/** So many come without that. */
const FIRST_SCANS = 10;
/** The longest pause, however busy the machine. */
const ADOPT_MS_MAX = 10_000;
/** How often while connections wait for their programs to be known. */
const LEARN_MS = 200;

/** Looks for connections that were there before, or could not enter, and puts them into the sockhash. */
export class Adopter {
  /** The last of its scans: one is made after the other. */
  adopted: Promise<unknown> = Promise.resolve();
  /** Connections could be adopted if their programs were known. */
  #waiting = false;
  #soonest = 0;
  #scans = 0;
  readonly #report = once((why: string) => log.warn(`${why}; connections that are already open stay on TCP`));

  /** @param reaches every reader can be reached, as far as is known */
  constructor(
    private readonly plane: DataPlane,
    private readonly full: () => void,
    private readonly reaches: boolean,
    private readonly shortage: Shortage,
    private readonly signal: AbortSignal,
  ) {}

  /** Looks now, unless it has taken much of the time lately. */
  adoptSoon(): void {
    if (performance.now() >= this.#soonest) void this.adopt();
  }

  /** Returns in how many milliseconds it is time for the next scan. */
  async adopt({ reapply } = { reapply: false }): Promise<number> {
    const scan = this.adopted.then(() => this.#scan(reapply));
    this.adopted = scan;
    return await scan;
  }

  async #scan(reapply: boolean): Promise<number> {
    const { object, options: { allSockets, unknownPrograms } } = this.plane;
    const started = performance.now();
    try {
      if (this.signal.aborted) return 0;
      const found = await adoptConnections(object, {
        reapply,
        allSockets,
        unknownPrograms,
        signal: this.signal,
      });
      this.#waiting = found.unknown > 0;
      if (found.adopted > 0) log.info(`adopted ${plural(found.adopted, "connection")}`);
      if (found.leaving > 0) {
        log.info(`${plural(found.leaving, "connection")} go over to TCP by the new rules`);
      }
      if (found.full) this.full();
      this.shortage.caused(found.shortage);
      if (found.obstacle && this.reaches) this.#report(found.obstacle);
    } catch (error) {
      if (!this.shortage.caused(error)) this.#report((error as Error).message);
      // Others are looked for again in any case.
      else if (reapply) this.shortage.afterwards(() => void this.adopt({ reapply }));
    }
    // The first scans are slow, and find the most.
    const share = ++this.#scans > FIRST_SCANS ? ADOPT_SHARE : 1;
    const pause = Math.min(share * (performance.now() - started), ADOPT_MS_MAX);
    this.#soonest = performance.now() + pause;
    return Math.max(this.#waiting ? LEARN_MS : ADOPT_MS, pause);
  }
}
