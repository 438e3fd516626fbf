/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How the two ends of a connection find each other: the client's end waits in a map for the server's, which leaves itself there in turn.
 * The element is deleted when the client learns its peer, at its first message at the latest. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "executable.h"
#include "lane.h"
#include "seqs.h"

/* From the client's ESTABLISHED to its first message, LRU; user space gives hosts of many CPUs more. A client that is forgotten before
 * it has sent stays unpaired, and leaves. */
#define PAIRINGS_MAX 8192

/* Elements of LRU maps are used again while somebody looks at them: what is in one has to say which handshake it is of. */
struct end_of {
	struct handshake handshake;
	struct end end; /* its key last */
};

struct pairing {
	struct executable server_executable;
	__u64 worth; /* place of the connection's past, see worth.h */
	struct end_of client;
	struct end_of server;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PAIRINGS_MAX);
	__type(key, struct handshake);
	__type(value, struct pairing);
} pairings SEC(".maps");

/* The server's end has entered. Its key comes last: it makes the rest hold. */
static __always_inline void say_entered(struct end_of *entered, const struct handshake *handshake, const struct end *self)
{
	entered->handshake = *handshake;
	entered->end.cookie = self->cookie;
	entered->end.tcp_sock = self->tcp_sock;
	entered->end.lane = self->lane;
	barrier();
	entered->end.key = self->key;
}

/* A client learns its peer when it first needs it. */
static __always_inline bool find_peer(const struct lane *lane, struct end *peer)
{
	struct handshake key = lane->handshake;
	struct pairing *pairing;

	if (lane->peer.key) {
		*peer = lane->peer;
		return true;
	}
	pairing = bpf_map_lookup_elem(&pairings, &key);
	if (!pairing || !pairing->server.end.key || !same_handshake(&pairing->server.handshake, &key))
		return false;
	barrier();
	*peer = pairing->server.end;
	return true;
}

static __always_inline void note_peer(struct lane *lane, const struct end *peer)
{
	struct handshake key = lane->handshake;

	if (lane->peer.key)
		return;
	lane->peer = *peer;
	bpf_map_delete_elem(&pairings, &key);
}

/* From a callback: returns whether its peer is known from now on. Also takes the element out of `pairings` when the client never sent. */
static __always_inline bool meet_peer(struct lane *lane)
{
	struct end peer;

	if (!find_peer(lane, &peer))
		return false;
	note_peer(lane, &peer);
	return true;
}
