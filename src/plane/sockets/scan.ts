import { enums, layouts } from "../../generated/layouts.ts";
import type { BpfObject } from "../../libbpf/object.ts";
import { numberReader, readStruct, type StructValue } from "../../libbpf/struct.ts";
import { changeControl } from "../../state/control.ts";

const { size } = layouts.scanned;
const { SCANNED_LISTENER, SCANNED_MPTCP_LISTENER, SCANNED_MEMBER, SCANNED_CLOSED } = enums.scanned_kind;

/** A TCP socket as a scan of all descriptors finds it: see bpf/scan.h. */
export type ScannedSocket = StructValue<typeof layouts, "scanned">;

/** Two sockets of this host that are each other's peer. */
export interface Connection {
  client: ScannedSocket;
  server: ScannedSocket;
  /** Whose connections the server accepts, when it still listens: its owner is the one that the rules know. */
  listener?: ScannedSocket;
  /** An MPTCP socket may have accepted the server's end: see exclusion_behind() in bpf/exclusion.h. */
  behindMptcp: boolean;
}

/**
 * Looks at all descriptors of all processes that can be seen.
 *
 * @param members whether sockets that are in a sockmap are wanted, not only those of them that are in blocking mode
 * @returns structs scanned, one after the other
 */
export function scanDescriptors(
  object: BpfObject,
  { members }: { members: boolean },
): Uint8Array<ArrayBuffer> {
  const control = object.map("control");
  if (members) changeControl(control, { scan_members: 1 });
  try {
    return object.program("scan_sockets").iterate();
  } finally {
    if (members) changeControl(control, { scan_members: 0 });
  }
}

/** The sockets of a scan that are in a sockmap and connected. */
export function findMembers(bytes: Uint8Array<ArrayBuffer>): ScannedSocket[] {
  return findOfKind(bytes, SCANNED_MEMBER);
}

/** Those that are in a sockmap and can send no more: shut down, reset or timed out. */
export function findClosed(bytes: Uint8Array<ArrayBuffer>): ScannedSocket[] {
  return findOfKind(bytes, SCANNED_CLOSED);
}

/** Those whose program waits until it can send, while nothing is on its way that could end that. */
export function findStuck(bytes: Uint8Array<ArrayBuffer>): ScannedSocket[] {
  return findWith(bytes, "stuck", 1);
}

function findOfKind(bytes: Uint8Array<ArrayBuffer>, kind: number): ScannedSocket[] {
  return findWith(bytes, "kind", kind);
}

function findWith(bytes: Uint8Array<ArrayBuffer>, name: "kind" | "stuck", value: number): ScannedSocket[] {
  const number = numberReader(layouts, "scanned", bytes);
  const found: ScannedSocket[] = [];
  for (let at = 0; at + size <= bytes.length; at += size) {
    if (number(at, name) === value) {
      found.push(readStruct(layouts, "scanned", bytes, at));
    }
  }
  return found;
}

/**
 * Finds the connections that have both ends among the sockets of a scan. The ends know
 * the same two initial sequence numbers; the client's own is one less, since its SYN counts as acknowledged.
 */
export function findConnections(bytes: Uint8Array<ArrayBuffer>): Connection[] {
  const number = numberReader(layouts, "scanned", bytes);
  // 53 of the 64 bits of a handshake, to look it up by; all are compared.
  const handshake = (clientSeq: number, serverSeq: number) => clientSeq * 2 ** 21 + serverSeq % 2 ** 21;
  const read = (at: number) => readStruct(layouts, "scanned", bytes, at);
  const isListener = (at: number) => {
    const kind = number(at, "kind");
    return kind === SCANNED_LISTENER || kind === SCANNED_MPTCP_LISTENER;
  };
  const isConnected = (at: number) => !isListener(at) && number(at, "kind") !== SCANNED_CLOSED;
  // Most sockets of a host have their peer elsewhere: only those that match are read whole.
  const servers = new Map<number, number>();
  const listeners: ScannedSocket[] = [];
  for (let at = 0; at + size <= bytes.length; at += size) {
    if (isListener(at)) listeners.push(read(at));
    else if (isConnected(at)) servers.set(handshake(number(at, "peer_seq"), number(at, "own_seq")), at);
  }
  const connections: Connection[] = [];
  const seen = new Set<number>();
  for (let at = 0; at + size <= bytes.length; at += size) {
    if (!isConnected(at)) continue;
    const serverSeq = number(at, "peer_seq");
    const place = servers.get(handshake((number(at, "own_seq") + 1) >>> 0, serverSeq));
    if (place === undefined || number(place, "own_seq") !== serverSeq || seen.has(place)) continue;
    const [client, server] = [read(at), read(place)];
    // A socket that is connected to itself is its own peer.
    if (client.sock === server.sock) continue;
    // A socket may have several descriptors.
    seen.add(place);
    const possible = listenersOf(server, listeners);
    const behindMptcp = possible.some(({ kind }) => kind === SCANNED_MPTCP_LISTENER);
    connections.push({ client, server, listener: possible[0], behindMptcp });
  }
  return connections;
}

/** Those that could have accepted it, first the one that names its address most exactly, as the kernel looks it up. */
function listenersOf({ net, local }: ScannedSocket, listeners: ScannedSocket[]): ScannedSocket[] {
  const exactness = (listener: ScannedSocket) => {
    const { family, port, address } = listener.local;
    if (listener.net !== net || port !== local.port) return 0;
    if (address.some((byte) => byte !== 0)) {
      return family === local.family && address.every((byte, index) => byte === local.address[index]) ? 3 : 0;
    }
    if (family === local.family) return 2;
    return family === 6 ? 1 : 0;
  };
  const possible = listeners.filter((listener) => exactness(listener) > 0);
  return possible.sort((one, other) => exactness(other) - exactness(one));
}
