import { surroundingsOfProcess } from "../host/container.ts";
import { processName } from "../host/process.ts";
import { enums, layouts } from "../generated/layouts.ts";
import { readStruct, type StructValue, writeStruct } from "../libbpf/struct.ts";
import { visible } from "../text/visible.ts";
import type { ConnectionEnd } from "./connections.ts";
import { endpointOf } from "./endpoints.ts";
import type { ListedLane, ListedSocket, Lister } from "./lister.ts";
import type { EndFacts } from "./step.ts";
import type { Executable } from "./worth.ts";

const LISTEN = 10;

/** The sockets of this host, those that listen apart, and who has them. */
export class SeenSockets {
  readonly connected = new Map<string, ListedSocket>();
  readonly lanes = new Map<string, ListedLane>();
  readonly listeners: ListedSocket[] = [];
  readonly #names = new Map<number, string | undefined>();

  constructor(private readonly lister: Lister) {
    for (const socket of lister.sockets()) {
      if (socket.state === LISTEN) this.listeners.push(socket);
      else this.connected.set(keyOf(socket), socket);
    }
    for (const lane of lister.lanes()) this.lanes.set(keyOf(lane), lane);
  }

  /** What is known of a program; undefined when nothing is. */
  program(executable: Executable): StructValue<typeof layouts, "program"> | undefined {
    const bytes = this.lister.map("programs").lookup(writeStruct(layouts, "executable", executable));
    return bytes && readStruct(layouts, "program", bytes);
  }

  /** What an end is to the steps. */
  facts(socket: ListedSocket): EndFacts {
    const program = this.program(socket.executable);
    return {
      who: `${visible(this.name(socket.pid) ?? "?")}[${socket.pid}]`,
      inCgroup: socket.in_cgroup !== 0,
      blocking: socket.blocking !== 0,
      protocol: socket.protocol !== 0,
      isKernels: socket.is_kernels !== 0,
      inSockmap: socket.in_sockmap !== 0,
      habit: program?.habit ?? enums.habit.HABIT_UNKNOWN,
      inCode: program?.in_code ?? 0,
      messages: program?.messages ?? 0,
    };
  }

  /** The name of a process; undefined when it is gone. */
  name(pid: number): string | undefined {
    if (!this.#names.has(pid)) this.#names.set(pid, processName(pid));
    return this.#names.get(pid);
  }

  /** Who listens where an end is, best of all the program that has that end. */
  listenerOf({ netns, local }: ConnectionEnd, server?: ListedSocket): ListedSocket | undefined {
    const possible = this.listeners.filter((listener) =>
      listener.netns === netns && listener.local.port === local.port &&
      (isAny(listener.local.address) || endpointOf(listener.local).address === local.address)
    );
    // Several processes have it: best told of who has accepted.
    return possible.find(({ pid }) => pid === server?.pid) ?? possible[0];
  }

  /** A socket as the end of a connection. */
  end(socket: ListedSocket): ConnectionEnd {
    const { netns, pid, owner: { uid, gid } } = socket;
    return {
      local: endpointOf(socket.local),
      remote: endpointOf(socket.remote),
      netns,
      pid,
      program: this.name(pid) ?? null,
      ...surroundingsOfProcess(pid),
      uid,
      gid,
      redirected: null,
      tcp: null,
      unread: { redirected: 0, tcp: socket.tcp_unread },
    };
  }
}

/** No two sockets that are connected have the same. */
function keyOf({ netns, local, remote }: Pick<ListedSocket, "netns" | "local" | "remote">): string {
  return keyOfEnd({ netns, local: endpointOf(local), remote: endpointOf(remote) });
}

/** The same of an end. */
export function keyOfEnd(
  { netns, local, remote }: Pick<ConnectionEnd, "netns" | "local" | "remote">,
): string {
  return JSON.stringify([netns, local.address, local.port, remote.address, remote.port]);
}

/** 0.0.0.0 and ::. */
export const isAny = (address: Uint8Array) => address.every((byte) => byte === 0);
