import { enums, layouts } from "../bpf/layouts.ts";
import { readStruct, type StructValue } from "../bpf/struct.ts";

const { size, fields } = layouts.stranger;
const { STRANGER_LISTENER } = enums.stranger_kind;

/** A TCP socket as a scan of all descriptors finds it: see bpf/types.h. */
export type Stranger = StructValue<typeof layouts, "stranger">;

/** Two sockets of this host that are each other's peer. */
export interface Connection {
  client: Stranger;
  server: Stranger;
  /** Whose connections the server accepts, when it still listens: its owner is the one that the rules know. */
  listener?: Stranger;
}

/**
 * Finds the connections that have both ends among the sockets that the BPF program `find_strangers` wrote. The ends know
 * the same two initial sequence numbers; the client's own is one less, since its SYN counts as acknowledged.
 */
export function findConnections(bytes: Uint8Array<ArrayBuffer>): Connection[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const number = (at: number, name: keyof typeof fields) => view.getUint32(at + fields[name].offset, true);
  // 53 of the 64 bits of a handshake, to look it up by; all are compared.
  const handshake = (clientSeq: number, serverSeq: number) => clientSeq * 2 ** 21 + serverSeq % 2 ** 21;
  const read = (at: number) => readStruct(layouts, "stranger", bytes, at);
  // Most sockets of a host have their peer elsewhere: only those that match are read whole.
  const servers = new Map<number, number>();
  const listeners: Stranger[] = [];
  for (let at = 0; at + size <= bytes.length; at += size) {
    if (number(at, "kind") === STRANGER_LISTENER) listeners.push(read(at));
    else servers.set(handshake(number(at, "peer_seq"), number(at, "own_seq")), at);
  }
  const connections: Connection[] = [];
  const seen = new Set<number>();
  for (let at = 0; at + size <= bytes.length; at += size) {
    if (number(at, "kind") === STRANGER_LISTENER) continue;
    const serverSeq = number(at, "peer_seq");
    const place = servers.get(handshake((number(at, "own_seq") + 1) >>> 0, serverSeq));
    if (place === undefined || number(place, "own_seq") !== serverSeq || seen.has(place)) continue;
    const [client, server] = [read(at), read(place)];
    // A socket that is connected to itself is its own peer.
    if (client.sock === server.sock) continue;
    // A socket may have several descriptors.
    seen.add(place);
    connections.push({ client, server, listener: listeners.find((listener) => accepts(listener, server)) });
  }
  return connections;
}

function accepts(listener: Stranger, { net, local }: Stranger): boolean {
  return listener.net === net && listener.local.port === local.port &&
    (isAny(listener.local.address) ||
      listener.local.family === local.family &&
        listener.local.address.every((byte, index) => byte === local.address[index]));
}

function isAny(address: Uint8Array): boolean {
  return address.every((byte) => byte === 0);
}
