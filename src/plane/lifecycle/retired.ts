import type { BpfMap } from "../../libbpf/map.ts";
import type { BpfProgram } from "../../libbpf/program.ts";
import { readU64 } from "../../libbpf/struct.ts";
import { passEverything } from "../../state/control.ts";
import { drainUntil } from "./drain.ts";
import { linkName, nextLinkName, openPinnedDrain, openPinnedLink, openPinnedMap } from "../../state/pins.ts";

/** A data plane that takes no new connection any more, of whatever version. Closing it lets go of its maps. */
export interface Retired extends Disposable {
  /** Detaches it from its cgroup and makes its connections go over to TCP. They stay in its sockhash. */
  pass(): void;
  /**
   * Takes its sockets out of its sockhash, once their programs have read what was redirected to them.
   *
   * @param meanwhile done at each step, for readers that need help to read on
   * @returns the keys of those that stay after `ms`: these go over to TCP when they are read, and keep a BPF program
   */
  drain(ms: number, meanwhile?: () => void): Promise<Uint8Array<ArrayBuffer>[]>;
  /** The keys of the sockets in its sockhash. */
  members(): Uint8Array<ArrayBuffer>[];
  /** Takes a socket out of its sockhash, and throws away what its program has not read. */
  remove(key: Uint8Array<ArrayBuffer>): void;
  /** The cookie of a socket in its sockhash; undefined when it is not there any more. */
  cookieOf(key: Uint8Array<ArrayBuffer>): bigint | undefined;
}

/**
 * Opens what is pinned in a directory, so that it can be stopped after its pins are gone. Only what every version has is
 * used of it: `control`, `sockets`, `drain` and the link.
 */
export function openRetired(pinDir: string): Retired {
  const control = openPinnedMap(pinDir, "control");
  const sockets: BpfMap | undefined = openPinnedMap(pinDir, "sockets");
  const program: BpfProgram | undefined = openPinnedDrain(pinDir);
  return {
    pass() {
      if (control) passEverything(control);
      for (const name of [linkName, nextLinkName]) {
        using link = openPinnedLink(pinDir, name);
        link?.detach();
      }
    },
    async drain(ms, meanwhile) {
      return sockets && program ? await drainUntil(sockets, program, { ms, meanwhile }) : this.members();
    },
    members: () => [...sockets?.keys() ?? []],
    remove: (key) => void sockets?.delete(key),
    cookieOf(key) {
      const value = sockets?.lookup(key);
      return value && readU64(value);
    },
    [Symbol.dispose]() {
      for (const handle of [control, sockets, program]) handle?.close();
    },
  };
}
