import { run } from "./program.ts";

/** What the kernel says of itself when something has gone wrong in it. */
const trouble =
  /WARNING: |BUG: |Oops|general protection|refcount_t|unregister_netdevice: waiting|blocked for more than|self-detected stall/;

let made = 0;

/** The kernel's log, from the moment on in which this was made. */
export class KernelLog {
  readonly #mark = `mda-test: a test begins, ${Deno.pid}-${++made}`;

  constructor() {
    Deno.writeTextFileSync("/dev/kmsg", `<6>${this.#mark}\n`);
  }

  /** The lines since then that tell of trouble. Where the mark is not there any more, all lines are later. */
  async trouble(): Promise<string[]> {
    const all = await run({}, ["dmesg"]);
    const since = all.slice(Math.max(0, all.indexOf(this.#mark)));
    return since.split("\n").filter((line) => trouble.test(line));
  }
}
