import { dirname } from "node:path";
import { removePinDirectory } from "../../host/bpffs.ts";
import { isCgroup2 } from "../../host/cgroup.ts";
import {
  lockPinDirectory,
  PinDirectoryBusy,
  type PinDirectoryLock,
  takePinDirectory,
} from "../../host/lock.ts";
import { pinsIn } from "../../state/pins.ts";
import { NotTried, onTheHost } from "./not_tried.ts";

const prefix = "mda-doctor-";
/** A process that has ended keeps its cgroup busy for a moment. */
const REMOVE_MS = 2000;
const LOOK_MS = 10;

/** A cgroup and a pin directory of the trial's own. Disposing of it removes both. */
export class TrialPlace implements AsyncDisposable {
  private constructor(
    readonly cgroup: string,
    readonly pinDir: string,
    private readonly lock: PinDirectoryLock,
  ) {}

  /**
   * @param cgroup below which the cgroup is made
   * @param pinDir beside which the pins are
   */
  static make(cgroup: string, pinDir: string): TrialPlace {
    // Processes in different PID namespaces may have the same number.
    const own = `${prefix}${crypto.getRandomValues(new Uint8Array(4)).toHex()}`;
    const parent = nearestDirectory(dirname(pinDir));
    removeStale(cgroup, parent);
    const directory = `${cgroup}/${own}`;
    makeCgroup(directory);
    try {
      return new TrialPlace(directory, `${parent}/${own}`, takePinDirectory(`${parent}/${own}`));
    } catch (error) {
      Deno.removeSync(directory);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      removePinDirectory(this.pinDir, pinsIn(this.pinDir));
    } finally {
      this.lock.release();
      await removeCgroup(this.cgroup);
    }
  }
}

function makeCgroup(path: string): void {
  try {
    Deno.mkdirSync(path);
  } catch (error) {
    throw new NotTried(`no cgroup can be made (${(error as Error).message})`, onTheHost);
  }
}

async function removeCgroup(path: string): Promise<void> {
  for (const end = performance.now() + REMOVE_MS;;) {
    try {
      return Deno.removeSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      if (performance.now() > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** What a doctor that was killed has left. */
function removeStale(cgroup: string, parent: string): void {
  for (const { name } of Deno.readDirSync(parent)) {
    if (!name.startsWith(prefix)) continue;
    const pinDir = `${parent}/${name}`;
    try {
      using _lock = lockPinDirectory(pinDir);
      removePinDirectory(pinDir, pinsIn(pinDir));
    } catch (error) {
      if (error instanceof PinDirectoryBusy) continue;
      throw error;
    }
    try {
      if (isCgroup2(`${cgroup}/${name}`)) Deno.removeSync(`${cgroup}/${name}`);
    } catch {
      // It is not there, or has processes.
    }
  }
}

function nearestDirectory(path: string): string {
  for (let at = path;; at = dirname(at)) {
    try {
      if (Deno.statSync(at).isDirectory || at === "/") return at;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}
