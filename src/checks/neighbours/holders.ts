import { obstacleToOthersSockets } from "../../host/reach.ts";
import type { BpfFile } from "../../libbpf/kernel_objects.ts";
import { heldFiles, pinnedFiles } from "./bpf_files.ts";
import type { SeenObjects } from "./objects.ts";

/** The time that each part of a look around may take. */
const PART_MS = 500;

/** What keeps BPF objects: pins, and processes that have them open. */
export class Holders {
  readonly #pins: { file: BpfFile; path: string }[] = [];
  readonly #processes: { file: BpfFile; pid: number }[] = [];

  /**
   * Looks at what is pinned, and at what processes have open.
   *
   * @param objects sees what is found
   * @param unknown gets what could not be found out
   */
  *look(objects: SeenObjects, unknown: string[]): Generator<void> {
    yield* inTime(pinnedFiles(), "not all that is pinned was looked at", unknown, (found) => {
      this.#pins.push({ file: found.file, path: found.path });
      objects.note(found);
    });
    const isNeeded = (file: BpfFile) => objects.isNeeded(file);
    yield* inTime(heldFiles(isNeeded), "not all processes were looked at", unknown, (found) => {
      this.#processes.push({ file: found.file, pid: found.pid });
      objects.note(found);
    });
    const obstacle = obstacleToOthersSockets();
    if (obstacle) unknown.push(`which process has a program is not all known: ${obstacle}`);
  }

  /** The paths of the objects that are chosen. */
  pathsOf(isChosen: (file: BpfFile) => boolean): string[] {
    return this.#pins.filter(({ file }) => isChosen(file)).map(({ path }) => path);
  }

  /** The numbers of the processes that have one of these open. */
  pidsOf(isChosen: (file: BpfFile) => boolean): number[] {
    const pids = new Set(this.#processes.filter(({ file }) => isChosen(file)).map(({ pid }) => pid));
    return [...pids].sort((a, b) => a - b);
  }
}

/** Acts on each file that is found, as far as the time suffices. */
function* inTime<T>(
  files: Generator<T | undefined>,
  late: string,
  unknown: string[],
  action: (file: T) => void,
): Generator<void> {
  let spent = 0;
  try {
    for (;;) {
      const begin = performance.now();
      const { done, value } = files.next();
      if (done) return;
      if (value) action(value);
      spent += performance.now() - begin;
      if (spent > PART_MS) break;
      yield;
    }
  } finally {
    // What it has open is closed, too, when the whole search is given up.
    files.return(undefined);
  }
  unknown.push(`${late} within ${PART_MS} ms`);
}
