import { existsSync } from "node:fs";
import { findCgroup2 } from "../../src/host/cgroup.ts";
import { readMounts } from "../../src/host/mounts.ts";
import { waitFor } from "./wait.ts";

let made = 0;

/** A cgroup of the test's own. `await using` kills what still runs in it and removes it. */
export class Cgroup implements AsyncDisposable {
  constructor(readonly path: string) {
    Deno.mkdirSync(path, { recursive: true });
  }

  get procs(): string {
    return `${this.path}/cgroup.procs`;
  }

  /** The processes in it now. */
  pids(): number[] {
    return Deno.readTextFileSync(this.procs).split("\n").filter(Boolean).map(Number);
  }

  /**
   * Moves this very process into the cgroup, until the result is disposed of. A socket belongs to the cgroup that its
   * maker was in (cgroup_sk_alloc()), whatever happens later.
   */
  enter(): Disposable {
    const before = `${findCgroup2()}${ownCgroup()}/cgroup.procs`;
    Deno.writeTextFileSync(this.procs, String(Deno.pid));
    return { [Symbol.dispose]: () => Deno.writeTextFileSync(before, String(Deno.pid)) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await waitFor(`the end of the processes in ${this.path}`, () => {
      const others = this.pids().filter((pid) => pid !== Deno.pid);
      others.forEach(killIfThere);
      return others.length === 0;
    });
    // A zombie is in no list, and keeps its cgroup busy.
    await waitFor(`the removal of ${this.path}`, () => {
      try {
        Deno.removeSync(this.path);
        return true;
      } catch (error) {
        if (error instanceof Error && "code" in error && error.code === "EBUSY") return false;
        throw error;
      }
    });
  }
}

/** Makes a cgroup below the cgroup2 mount, with a name that no other test has. */
export function createCgroup(name: string): Cgroup {
  return new Cgroup(`${findCgroup2()}/mda-test-${name}-${Deno.pid}-${++made}`);
}

/** Makes a cgroup whose processes, and what the kernel keeps for them, may take so much memory. */
export function createMemoryCgroup(name: string, bytes: number): Cgroup {
  const v1 = readMounts().find(({ type, options }) => type === "cgroup" && options.includes("memory"))
    ?.target;
  const cgroup = new Cgroup(`${v1 ?? findCgroup2()}/mda-test-${name}-${Deno.pid}-${++made}`);
  Deno.writeTextFileSync(`${cgroup.path}/${v1 ? "memory.limit_in_bytes" : "memory.max"}`, `${bytes}`);
  return cgroup;
}

/**
 * Makes a cgroup whose sockets may take so much memory: with cgroup v1 what is set aside for TCP, which has a limit of its own; else
 * all of its processes' memory.
 */
export function createSocketMemoryCgroup(name: string, bytes: number): Cgroup {
  const cgroup = createMemoryCgroup(name, bytes);
  const limit = `${cgroup.path}/memory.kmem.tcp.limit_in_bytes`;
  if (existsSync(limit)) {
    Deno.writeTextFileSync(`${cgroup.path}/memory.limit_in_bytes`, "-1");
    Deno.writeTextFileSync(limit, `${bytes}`);
  }
  return cgroup;
}

/** Makes a cgroup in which the number of processes and threads can be limited. */
export function createProcessesCgroup(name: string): Cgroup & { limit(most: number): void } {
  const v1 = readMounts().find(({ type, options }) => type === "cgroup" && options.includes("pids"))?.target;
  const cgroup = new Cgroup(`${v1 ?? findCgroup2()}/mda-test-${name}-${Deno.pid}-${++made}`);
  return Object.assign(cgroup, {
    limit: (most: number) => Deno.writeTextFileSync(`${cgroup.path}/pids.max`, `${most}`),
  });
}

/** This process's path below the cgroup2 mount. */
function ownCgroup(): string {
  const path = /^0::(.*)$/m.exec(Deno.readTextFileSync("/proc/self/cgroup"))![1];
  return path === "/" ? "" : path;
}

function killIfThere(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
