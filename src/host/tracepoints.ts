import * as libc from "./libc.ts";

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
 * Opens the kernel's list of tracepoints, wherever it is mounted, if anywhere.
 *
 * @throws SystemError when this kernel has none
 */
export function openTracepoints(): Tracepoints {
  const root = libc.mountDetached("tracefs");
  return {
    id: (name) => Number(Deno.readTextFileSync(`/proc/self/fd/${root}/events/${name}/id`)),
    [Symbol.dispose]: () => libc.close(root),
  };
}
