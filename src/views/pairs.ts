import type { ListedLane, ListedSocket } from "./lister.ts";

const { LISTEN, ESTABLISHED, CLOSE_WAIT } = { ESTABLISHED: 1, CLOSE_WAIT: 8, LISTEN: 10 };

/** What is known of an end: a descriptor that was found, what the data plane has, or both. */
export interface Found {
  socket?: ListedSocket;
  lane?: ListedLane;
}

/** A client's end and its server's; one of them may be gone, or unknown. */
export type Pair<End> = [client: End | undefined, server: End | undefined];

/** Keys of a connection's two ends differ in the lowest bit: bpf/lane.h, struct lane. */
export function pairLanes(lanes: ListedLane[]): Pair<ListedLane>[] {
  const pairs = new Map<bigint, Pair<ListedLane>>();
  for (const lane of lanes) {
    const { key } = lane;
    if (key === 0n) continue;
    const both = key >> 1n;
    let pair = pairs.get(both);
    if (!pair) pairs.set(both, pair = [undefined, undefined]);
    pair[Number(key & 1n)] = lane;
  }
  return [...pairs.values()];
}

/**
 * The connections that have both ends among these sockets. The ends know the same two initial sequence numbers; the client's own is
 * one less, since its SYN counts as acknowledged (bpf/adopt.h).
 */
export function pairOthers(sockets: ListedSocket[]): Pair<ListedSocket>[] {
  const connected = sockets.filter(({ state }) =>
    state !== LISTEN && (state === ESTABLISHED || state === CLOSE_WAIT)
  );
  // 53 of the 64 bits of a handshake, to look it up by; all are compared.
  const handshake = (client: number, server: number) => client * 2 ** 21 + server % 2 ** 21;
  const servers = new Map(connected.map((socket) => [handshake(socket.peer_seq, socket.own_seq), socket]));
  const pairs: Pair<ListedSocket>[] = [];
  for (const client of connected) {
    const server = servers.get(handshake((client.own_seq + 1) >>> 0, client.peer_seq));
    if (!server || server.own_seq !== client.peer_seq || server === client) continue;
    pairs.push([client, server]);
  }
  return pairs;
}
