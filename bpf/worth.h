/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether it pays to accelerate a connection, by what others of the same client program, server program and listener's port were like. A
 * connection that lives for a request costs more than it gains, and one that turns to bulk or to blocking mode is left to TCP in any case. So where nearly
 * all are like that, they do not enter at their handshake; those that are different are adopted by a scan. One in WORTH_SAMPLE enters all
 * the same, so that what has changed is noticed. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "executable.h"
#include "lane.h"

#define WORTH_PLACES 4096
#define WORTH_SAMPLE 256
/* A connection whose ends have sent no more messages than this, together, has not gained what its entering has cost. */
#define SHORT_MESSAGES 4
/* So many connections tell: short ones come in great numbers, others in few. */
#define SHORT_CONNECTIONS_MIN 16
#define OTHER_CONNECTIONS_MIN 4
/* What was long ago counts half as much as what was lately. */
#define WORTH_CONNECTIONS_MAX 256

enum worth {
	WORTH_IT,
	WORTH_SHORT,
	WORTH_BULK,
	WORTH_BLOCKING, /* it is put into blocking mode after its handshake */
};

struct past {
	__u32 tag; /* of the programs and the port that have this place */
	__u32 connections; /* that have shown what they were like */
	__u32 were_short;
	__u32 were_bulk;
	__u32 turned_blocking;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WORTH_PLACES);
	__type(key, __u32);
	__type(value, struct past);
} pasts SEC(".maps");

/* A hash of them: the lowest bits are the place in `pasts`, all of them the tag.
 * @client: all 0 when it is not known */
static __always_inline __u64 worth_place(const struct executable *client, const struct executable *server, __u16 port)
{
	__u64 hash = port;

	if (is_known(client))
		hash = (hash ^ client->inode ^ (__u64)client->device << 32 ^ client->generation) * 0x9e3779b97f4a7c15ull;
	hash ^= hash >> 32;
	hash = (hash ^ server->inode ^ (__u64)server->device << 32 ^ server->generation) * 0x9e3779b97f4a7c15ull;
	return hash >> 32 | 1ull << 32; /* never 0 */
}

static __always_inline struct past *past_at(__u64 place)
{
	__u32 index = place % WORTH_PLACES;

	return bpf_map_lookup_elem(&pasts, &index);
}

/* Three of four, as far as they have shown it. */
static __always_inline bool are_most(const struct past *past, __u32 some)
{
	return past->connections >= OTHER_CONNECTIONS_MIN && some >= past->connections - past->connections / 4;
}

static __always_inline enum worth worth_of(const struct executable *client, const struct executable *server, __u16 port)
{
	__u64 place = worth_place(client, server, port);
	struct past *past = past_at(place);
	enum worth worth = WORTH_IT;

	if (!past || past->tag != (__u32)place)
		return WORTH_IT;
	if (past->connections >= SHORT_CONNECTIONS_MIN && past->were_short >= past->connections - past->connections / 8)
		worth = WORTH_SHORT;
	else if (are_most(past, past->were_bulk))
		worth = WORTH_BULK;
	else if (are_most(past, past->turned_blocking))
		worth = WORTH_BLOCKING;
	return worth && bpf_get_prandom_u32() % WORTH_SAMPLE ? worth : WORTH_IT;
}

/* A connection has shown what it is like. Counts of other CPUs may be lost. */
static __noinline int note_worth(__u64 place, __u32 worth)
{
	struct past *past = past_at(place);

	if (!place || !past)
		return 0;
	if (past->tag != (__u32)place) {
		past->tag = place;
		past->connections = 0;
		past->were_short = 0;
		past->were_bulk = 0;
		past->turned_blocking = 0;
	}
	if (past->connections >= WORTH_CONNECTIONS_MAX) {
		past->connections /= 2;
		past->were_short /= 2;
		past->were_bulk /= 2;
		past->turned_blocking /= 2;
	}
	past->connections++;
	if (worth == WORTH_SHORT)
		past->were_short++;
	if (worth == WORTH_BULK)
		past->were_bulk++;
	if (worth == WORTH_BLOCKING)
		past->turned_blocking++;
	return 0;
}

/* By an end that is found to be bulk or in blocking mode, or by the client when it closes. */
static __always_inline void has_shown(struct lane *lane, enum worth worth)
{
	__u64 place = lane->worth;

	lane->worth = 0;
	if (place)
		note_worth(place, worth);
}

/* One of its ends was put into blocking mode. */
static __always_inline bool turned_blocking(struct lane *lane)
{
	return lane->notice.leave == LEAVE_BLOCKING || peer_notice(lane).leave == LEAVE_BLOCKING;
}

/* From its client, whose peer is there still when the first of the two closes. */
static __always_inline void has_ended(struct lane *lane)
{
	struct sock *peer = (void *)lane->peer.tcp_sock;
	__u64 messages = lane->messages;

	if (lane->key & 1 || !lane->worth)
		return;
	if (peer && is_still(lane, peer))
		messages += (__u64)pointer_at((void *)lane->peer.lane + offsetof(struct lane, messages));
	has_shown(lane, turned_blocking(lane) ? WORTH_BLOCKING : messages <= SHORT_MESSAGES ? WORTH_SHORT :
											      WORTH_IT);
}
