import { SystemError } from "./libc/errno.ts";
import * as libc from "./libc/mod.ts";
import { readMounts } from "./mounts.ts";

/** The tracepoints of the kernel. */
export interface Tracepoints extends Disposable {
  /**
   * The number of one, as perf_event_open(2) wants it.
   *
   * @param name `syscalls/sys_enter_splice`
   * @throws Deno.errors.NotFound when this kernel does not have it
   */
  id(name: string): number;
}

/**
 * Opens the kernel's list of tracepoints, wherever it is mounted, if anywhere. Where it is not, it takes CAP_SYS_ADMIN.
 *
 * @throws SystemError when this kernel has none, or this process may not
 */
export function openTracepoints(): Tracepoints {
  const root = openTracefs();
  return {
    id: (name) => Number(Deno.readTextFileSync(`/proc/self/fd/${root}/events/${name}/id`)),
    [Symbol.dispose]: () => libc.close(root),
  };
}

function openTracefs(): number {
  try {
    return libc.mountDetached("tracefs");
  } catch (error) {
    const mounted = readMounts().find(({ type }) => type === "tracefs");
    if (!(error instanceof SystemError) || !mounted) throw error;
    return libc.open(mounted.target, libc.O_RDONLY | libc.O_DIRECTORY | libc.O_CLOEXEC);
  }
}
