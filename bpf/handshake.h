/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is kept of a handshake while it goes on, each of it no longer than somebody needs it: see pairing.h. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "connection.h"
#include "executable.h"
#include "habits.h"
#include "lane.h"
#include "socket.h"
#include "task.h"
#include "unknown_programs.h"

/* From the client's ESTABLISHED to its first message, LRU; user space gives hosts of many CPUs more. A client that is forgotten before
 * it has sent stays unpaired, and leaves. */
#define PAIRINGS_MAX 8192
/* SYNs that were answered; a later one takes the place of an earlier one. No more than a cache holds: user space gives hosts of many CPUs
 * more, a power of two. */
#define ANSWERS_MAX 512
/* Handshakes under way on a CPU, by their socket: more are not known by their program. */
#define CONNECTING_MAX 16

/* Which ends of a connection that stays outside are looked at there. */
enum to_observe {
	OBSERVE_CLIENT = 1,
	OBSERVE_SERVER = 2,
};

/* Who may not enter, whatever the rules say. */
enum exclusion {
	NOT_EXCLUDED,
	EXCLUDED_PROTOCOL,
	EXCLUDED_KERNEL,
};

/* A SYN that a listener of this host has answered, as the listener's side sees it. */
struct answer {
	struct handshake handshake;
	struct executable server_executable; /* all 0: not known yet */
	__u16 port; /* the listener's, host order */
	__u8 nonblocking; /* the listener */
	__u8 exclusion; /* enum exclusion */
	__u8 to_observe; /* enum to_observe */
	__u8 client_entered;
	__u8 is_bulk; /* it is left to TCP for that */
	__u8 has_ends;
};

/* What rules ask of it. */
struct answer_ends {
	struct endpoint server;
	struct endpoint client;
	struct owner server_owner;
};

struct answer_place {
	struct bpf_spin_lock lock; /* CPUs may meet */
	__u32 pad;
	struct answer answer;
	struct answer_ends ends;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ANSWERS_MAX);
	__type(key, __u32);
	__type(value, struct answer_place);
} answers SEC(".maps");

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

const volatile __u32 answer_places = ANSWERS_MAX;

static __always_inline struct answer_place *answer_place_of(const struct handshake *handshake)
{
	__u32 place = (handshake->client_seq ^ handshake->server_seq * 0x9e3779b9u) >> 8;

	place &= answer_places - 1;
	return bpf_map_lookup_elem(&answers, &place);
}

static __always_inline void put_answer(const struct answer *answer, const struct answer_ends *ends)
{
	struct answer_place *place = answer_place_of(&answer->handshake);

	if (!place)
		return;
	bpf_spin_lock(&place->lock);
	place->answer = *answer;
	if (answer->has_ends)
		place->ends = *ends;
	bpf_spin_unlock(&place->lock);
}

static __always_inline bool same_handshake(const struct handshake *one, const struct handshake *other)
{
	return one->client_seq == other->client_seq && one->server_seq == other->server_seq;
}

static __always_inline bool get_answer(const struct handshake *handshake, struct answer *answer)
{
	struct answer_place *place = answer_place_of(handshake);

	if (!place || !same_handshake(&place->answer.handshake, handshake))
		return false;
	bpf_spin_lock(&place->lock);
	*answer = place->answer;
	bpf_spin_unlock(&place->lock);
	return same_handshake(&answer->handshake, handshake);
}

/* The addresses and owners of the listener's side. */
static __always_inline bool get_ends(const struct answer *answer, struct connection *connection)
{
	struct answer_place *place = answer_place_of(&answer->handshake);
	bool found = false;

	if (!place || !answer->has_ends)
		return false;
	bpf_spin_lock(&place->lock);
	if (same_handshake(&place->answer.handshake, &answer->handshake)) {
		connection->client[1] = place->ends.client;
		connection->server[1] = place->ends.server;
		connection->server_owner = place->ends.server_owner;
		found = true;
	}
	bpf_spin_unlock(&place->lock);
	return found;
}

/* For the server's end, which comes next. */
static __always_inline void mark_answer(const struct handshake *handshake, bool client_entered, __u8 to_observe, bool is_bulk)
{
	struct answer_place *place = answer_place_of(handshake);

	if (!place)
		return;
	bpf_spin_lock(&place->lock);
	if (same_handshake(&place->answer.handshake, handshake)) {
		place->answer.client_entered = client_entered;
		place->answer.to_observe = to_observe;
		place->answer.is_bulk = is_bulk;
	}
	bpf_spin_unlock(&place->lock);
}

/* Who has called connect(2). Over loopback the handshake ends on the same CPU, most often before the call does. */
struct connecting {
	__u64 sk;
	__u32 seq; /* the initial one: another socket may have the same address later */
	__u32 pad;
	struct executable executable;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CONNECTING_MAX);
	__type(key, __u32);
	__type(value, struct connecting);
} connecting SEC(".maps");

static __always_inline struct connecting *connecting_at(struct sock *sk)
{
	__u64 address = (__u64)sk;
	__u32 slot = (address >> 6 ^ address >> 12) % CONNECTING_MAX;

	return bpf_map_lookup_elem(&connecting, &slot);
}

/* Of the program that has called connect(2). */
static __noinline int connects(struct bpf_sock *sk)
{
	struct sock *tp = (void *)bpf_skc_to_tcp_sock(sk);
	struct connecting *slot;

	if (!tp || !sees_habits || (!all_sockets && !nonblocking(tp)))
		return 0;
	slot = connecting_at(tp);
	if (!slot)
		return 0;
	slot->sk = (__u64)tp;
	slot->seq = READ((struct tcp_sock *)tp, write_seq);
	slot->executable = executable_of(READ(current_task(), mm));
	if (learns_first())
		meet(&slot->executable, current_task());
	return 0;
}

/* NULL when it is not known which that is.
 * @first: the first sequence number that it sends with data */
static __always_inline const struct executable *executable_of_client(struct sock *sk, __u32 first)
{
	struct connecting *slot = connecting_at(sk);

	return slot && slot->sk == (__u64)sk && slot->seq + 1 == first ? &slot->executable : NULL;
}
