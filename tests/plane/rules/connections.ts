/** TCP connections between two chosen ends: their addresses, ports, namespaces and owners. */
import { formatAddress, parseAddress } from "../../../src/rules/addresses.ts";
import type { Connection } from "../../../src/rules/decide.ts";
import type { Address } from "../../../src/rules/rules.ts";
import * as libc from "../../../src/host/libc/mod.ts";
import { createNetns, type NetworkNamespace } from "../../lab/netns.ts";

const symbols = {
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  fchown: { parameters: ["i32", "u32", "u32"], result: "i32" },
  setfsuid: { parameters: ["u32"], result: "i32" },
  setfsgid: { parameters: ["u32"], result: "i32" },
  setns: { parameters: ["i32", "i32"], result: "i32" },
} as const;

const c = Deno.dlopen("libc.so.6", symbols).symbols;

const SO_REUSEADDR = 2;
const SO_LINGER = 13;
const CLONE_NEWNET = 0x40000000;
/** -1, which no call takes as an id. */
const nobody = 0xffff_ffff;
const patienceMs = 5000;

export interface Owner {
  uid?: number;
  gid?: number;
}

/** One end: where its socket is made, by whom, and what it is bound to. */
export interface Side extends Owner {
  address: string;
  /** Any, when absent. */
  port?: number;
  /** The test's own, when absent. */
  netns?: NetworkNamespace;
  /** Whom fchown(2) then gives it to. */
  given?: Owner;
}

export interface Ends {
  client: Side;
  server: Side;
  /** Where the client connects to, when that is not what the server is bound to. */
  to?: { address: string; port?: number };
}

/** A connection that is established. Its sockets are non-blocking, and closing it leaves nothing in TIME_WAIT. */
export interface LocalConnection extends Disposable {
  /** As each of its ends sees it: what rules decide about. */
  seen: Connection;
  /** The client's; bpf_get_socket_cookie() of the kernel side. */
  cookie: bigint;
  /** Sends one message each way. */
  exchange(): void;
}

/**
 * Makes a connection. All sockets are made by the calling thread, so they belong to its cgroup.
 *
 * @param listening whether the listener stays as long as the connection
 */
export function connect(ends: Ends, { listening = false } = {}): LocalConnection {
  const { client, server, to } = ends;
  const fds: number[] = [];
  const keep = (fd: number) => (fds.push(fd), fd);
  const close = () => fds.splice(0).reverse().forEach(libc.close);
  try {
    const listener = keep(openSocket(server));
    libc.listen(listener);
    const clientFd = keep(openSocket(client));
    libc.connect(clientFd, to?.address ?? server.address, to?.port ?? libc.localPort(listener));
    needs(listener, libc.POLLIN, "accept");
    const serverFd = keep(libc.accept(listener, libc.SOCK_NONBLOCK));
    needs(clientFd, libc.POLLOUT, "connect");
    // Closing is a reset then.
    for (const fd of [clientFd, serverFd]) setLinger(fd, 0);
    if (!listening) {
      fds.splice(fds.indexOf(listener), 1);
      libc.close(listener);
    }
    return {
      seen: { client: seenEnd(client, clientFd, serverFd), server: seenEnd(server, serverFd, clientFd) },
      cookie: libc.getSocketOption(clientFd, libc.SOL_SOCKET, libc.SO_COOKIE),
      exchange() {
        for (const [from, at] of [[clientFd, serverFd], [serverFd, clientFd]]) {
          libc.send(from, new Uint8Array([1]));
          needs(at, libc.POLLIN, "receive");
          libc.recv(at, new Uint8Array(2));
        }
      },
      [Symbol.dispose]: close,
    };
  } catch (cause) {
    close();
    throw new Error(`Cannot make the connection ${Deno.inspect(ends)}`, { cause });
  }
}

/** A namespace in which every unicast address is local, so that ends may have any. */
export async function createLocalNetns(name: string): Promise<NetworkNamespace> {
  const netns = await createNetns(name);
  await netns.ip("route add local 0.0.0.0/0 dev lo");
  await netns.ip("-6 route add local ::/0 dev lo");
  await netns.sysctl("net.ipv6.ip_nonlocal_bind", 1);
  return netns;
}

/** Both ends in one namespace. */
export function within(netns: NetworkNamespace, { client, server, to }: Ends): Ends {
  return { client: { ...client, netns }, server: { ...server, netns }, to };
}

/** `10.0.0.1:40000 of 1000:100 to 10.96.0.1:80, 10.0.0.2:8080 of 1337:1337` */
export function describe({ client, server }: Connection): string {
  const end = ({ addresses, ports, uid, gid }: Connection["client"]) => {
    const names = new Set(addresses.map((address, i) => `${formatAddress(address)} port ${ports[i]}`));
    return `${[...names].join(", ")} of ${uid}:${gid}`;
  };
  return `${end(client)} to ${end(server)}`;
}

function openSocket({ address, port = 0, netns, uid = 0, gid = 0, given }: Side): number {
  const family = address.includes(":") ? libc.AF_INET6 : libc.AF_INET;
  const open = () => libc.socket(family, libc.SOCK_STREAM | libc.SOCK_NONBLOCK);
  const fd = inNetns(netns, () => asOwner(uid, gid, open));
  try {
    libc.setSocketOption(fd, libc.SOL_SOCKET, SO_REUSEADDR, 1);
    libc.bind(fd, address, port);
    if (given) succeeded("fchown", c.fchown(fd, given.uid ?? uid, given.gid ?? gid));
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

// The filesystem ids are a thread's own, where seteuid(2) would change those of the whole process. They follow the
// effective ids, so that a process that has changed these makes the same socket.
function asOwner<T>(uid: number, gid: number, make: () => T): T {
  c.setfsgid(gid);
  c.setfsuid(uid);
  try {
    // Neither call says whether it succeeded: both return what held before.
    if (c.setfsuid(nobody) >>> 0 !== uid || c.setfsgid(nobody) >>> 0 !== gid) {
      throw new Error(`Cannot become ${uid}:${gid}`);
    }
    return make();
  } finally {
    c.setfsuid(0);
    c.setfsgid(0);
  }
}

function inNetns<T>(netns: NetworkNamespace | undefined, make: () => T): T {
  if (!netns) return make();
  const own = libc.open("/proc/thread-self/ns/net", libc.O_RDONLY);
  const other = libc.open(netns.path, libc.O_RDONLY);
  try {
    succeeded("setns", c.setns(other, CLONE_NEWNET));
    return make();
  } finally {
    succeeded("setns", c.setns(own, CLONE_NEWNET));
    libc.close(other);
    libc.close(own);
  }
}

/** @param own the end's socket, @param peer the other one's */
function seenEnd({ uid = 0, gid = 0, given }: Side, own: number, peer: number): Connection["client"] {
  const names = [nameOf(own, libc.libc().getsockname), nameOf(peer, c.getpeername)];
  return {
    addresses: names.map(({ address }) => address),
    ports: names.map(({ port }) => port),
    uid,
    gid,
    ...given,
  };
}

function nameOf(
  fd: number,
  ask: (fd: number, address: BufferSource, length: BufferSource) => number,
): { address: Address; port: number } {
  const bytes = new Uint8Array(28);
  succeeded("getsockname", ask(fd, bytes, new Uint32Array([bytes.length])));
  const view = new DataView(bytes.buffer);
  const v6 = view.getUint16(0, true) === libc.AF_INET6;
  const text = formatAddress({
    family: v6 ? 6 : 4,
    bytes: v6 ? bytes.subarray(8, 24) : bytes.subarray(4, 8),
  });
  return { address: parseAddress(text)!, port: view.getUint16(2) };
}

function setLinger(fd: number, seconds: number): void {
  const linger = new Uint8Array(new Int32Array([1, seconds]).buffer);
  succeeded(
    "setsockopt",
    libc.libc().setsockopt(fd, libc.SOL_SOCKET, SO_LINGER, linger, linger.length),
  );
}

function needs(fd: number, event: number, what: string): void {
  const events = libc.poll(fd, event, patienceMs);
  if (events !== event) {
    const seen = events === 0 ? `nothing comes within ${patienceMs} ms` : `poll says ${events}`;
    throw new Error(`Cannot ${what}: ${seen}`);
  }
}

function succeeded(what: string, result: number): void {
  if (result !== 0) throw new Error(`${what}: ${libc.strerror(libc.errno())}`);
}
