import { dirname, resolve } from "node:path";
import { isCgroup2, openCgroup } from "../../host/cgroup.ts";
import { BpfError } from "../../libbpf/errors.ts";
import { sockopsProgramsOf } from "../../libbpf/kernel_objects.ts";

const CGROUPS = 2000;

/** Where sockops programs of others are attached that run for sockets of a data plane. */
export class Attachments {
  readonly #cgroup: string;
  readonly #isOwn: (program: number) => boolean;
  readonly #directories = new Map<number, string[]>();
  /** All of these places are known. */
  areKnown = true;

  /** @param isOwn tells the data plane's own programs */
  constructor(cgroup: string, isOwn: (program: number) => boolean) {
    this.#cgroup = resolve(cgroup);
    this.#isOwn = isOwn;
  }

  get programs(): number[] {
    return [...this.#directories.keys()];
  }

  has(program: number): boolean {
    return this.#directories.has(program);
  }

  /** The directories of the cgroups that a program is attached to; undefined when there are none. */
  of(program: number): string[] | undefined {
    return this.#directories.get(program);
  }

  /**
   * Looks at the cgroup and those above it, and below it while `isEnough` does not hold.
   *
   * @param unknown gets what could not be found out
   */
  *look(isEnough: () => boolean, unknown: string[]): Generator<void> {
    try {
      const here = this.#programsAt(this.#cgroup);
      const inEffect = this.#programsAt(this.#cgroup, { effective: true });
      for (let at = dirname(this.#cgroup); isCgroup2(at) && at !== "/"; at = dirname(at)) {
        this.#programsAt(at);
      }
      const above = inEffect.filter((id) => !here.includes(id) && !this.#directories.has(id));
      for (const id of above) this.#place(id, "a cgroup above those that mda sees");
      if (!isEnough()) yield* this.#lookBelow(unknown);
    } catch (error) {
      this.areKnown = false;
      unknown.push(`what is attached to cgroups is not known: ${(error as Error).message}`);
    }
  }

  *#lookBelow(unknown: string[]): Generator<void> {
    const directories = childrenOf(this.#cgroup);
    for (let count = 0; directories.length > 0; count++) {
      if (count === CGROUPS) {
        this.areKnown = false;
        unknown.push(`of the cgroups below ${this.#cgroup} only ${CGROUPS} were looked at`);
        return;
      }
      const directory = directories.shift()!;
      try {
        this.#programsAt(directory);
      } catch (error) {
        if (error instanceof BpfError) throw error;
        // It was removed meanwhile.
      }
      directories.push(...childrenOf(directory));
      yield;
    }
  }

  #programsAt(directory: string, { effective } = { effective: false }): number[] {
    using cgroup = openCgroup(directory);
    const ids = sockopsProgramsOf(cgroup.fd, { effective }).filter((id) => !this.#isOwn(id));
    if (!effective) { for (const id of ids) this.#place(id, directory); }
    return ids;
  }

  #place(id: number, directory: string): void {
    this.#directories.set(id, [...this.#directories.get(id) ?? [], directory]);
  }
}

function childrenOf(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].filter(({ isDirectory }) => isDirectory)
      .map(({ name }) => `${directory}/${name}`);
  } catch {
    // Removed meanwhile.
    return [];
  }
}
