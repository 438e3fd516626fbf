import { layouts } from "../../generated/layouts.ts";
import { isShortage } from "../../host/descriptors.ts";
import * as libc from "../../host/libc/mod.ts";
import { BPF_NOEXIST } from "../../libbpf/map.ts";
import type { BpfObject } from "../../libbpf/object.ts";
import { u64, writeStruct } from "../../libbpf/struct.ts";
import type { Connection, ScannedSocket } from "./scan.ts";

/**
 * Puts both ends of a connection into the sockhash, by copies of their descriptors. False when an end has gone meanwhile.
 *
 * @param rule the name of the one that lets it in, 0 where none has to
 * @throws SystemError or BpfError: E2BIG when there is no room, EPERM when an end's process is out of reach
 */
export function join(
  object: BpfObject,
  { client, server }: Connection,
  processes: Processes,
  rule: number,
): boolean {
  const sockets = object.map("sockets");
  const fds: number[] = [];
  const inside: Uint8Array<ArrayBuffer>[] = [];
  let joined = false;
  try {
    const ends = [client, server].map((end) => {
      const fd = processes.copyDescriptor(end);
      fds.push(fd);
      return { fd, cookie: libc.getSocketOption(fd, libc.SOL_SOCKET, libc.SO_COOKIE) };
    });
    const clientKey = ends[0].cookie << 1n;
    ends.forEach(({ fd }, index) => {
      const key = u64(clientKey | BigInt(index));
      sockets.update(key, u64(fd), BPF_NOEXIST);
      inside.push(key);
    });
    const packet = writeStruct(layouts, "adoption", {
      client_key: clientKey,
      client_cookie: ends[0].cookie,
      server_cookie: ends[1].cookie,
      client_executable: client.executable,
      server_executable: server.executable,
      argument: rule,
      connection: { server: [client.remote, server.local] },
    });
    joined = object.program("join").runOn(packet) === 1;
  } finally {
    fds.forEach(libc.close);
    if (!joined) { for (const key of inside) sockets.delete(key); }
  }
  return joined;
}

/** So many processes are kept open. */
const PROCESSES_MAX = 32;

/** Processes whose descriptors are copied: each is opened once, unless there are many. */
export class Processes implements Disposable {
  readonly #pidfds = new Map<number, number>();

  copyDescriptor(end: ScannedSocket): number {
    try {
      return this.#copy(end);
    } catch (error) {
      if (!isShortage(error) || this.#pidfds.size === 0) throw error;
      this[Symbol.dispose]();
      return this.#copy(end);
    }
  }

  #copy({ pid, fd }: ScannedSocket): number {
    let pidfd = this.#pidfds.get(pid);
    if (pidfd === undefined) {
      if (this.#pidfds.size >= PROCESSES_MAX) this[Symbol.dispose]();
      pidfd = libc.openProcess(pid);
      this.#pidfds.set(pid, pidfd);
    }
    return libc.copyDescriptor(pidfd, fd);
  }

  [Symbol.dispose](): void {
    for (const pidfd of this.#pidfds.values()) libc.close(pidfd);
    this.#pidfds.clear();
  }
}
