/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* SYNs that listeners of this host have answered. A client that finds its own there when it is established has a local peer. Each is kept
 * until another takes its place: a SYN costs no element of a map. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "connection.h"
#include "cookies.h"
#include "exclusion.h"
#include "executable.h"
#include "lane.h"
#include "listening.h"
#include "reasons.h"
#include "rules.h"
#include "seqs.h"
#include "socket.h"

/* No more than a cache holds: user space gives hosts of many CPUs more, a power of two. */
#define ANSWERS_MAX 512

/* Which ends of a connection that stays outside are looked at there. */
enum to_observe {
	OBSERVE_CLIENT = 1,
	OBSERVE_SERVER = 2,
};

/* What the listener's side says of a SYN. */
struct answer {
	struct handshake handshake;
	struct executable server_executable; /* all 0: not known yet */
	__u16 port; /* the listener's, host order */
	__u8 nonblocking; /* the listener */
	__u8 exclusion; /* enum exclusion */
	__u8 to_observe; /* enum to_observe */
	__u8 client_entered;
	__u8 refused; /* enum refusal, plus 1: why the client was not let in */
	__u8 has_ends;
};

/* What rules ask of a SYN that was answered. */
struct answer_ends {
	struct endpoint server;
	struct endpoint client;
	struct owner server_owner;
};

struct answer_place {
	struct bpf_spin_lock lock; /* SYNs of several CPUs may have one place */
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

/* @handshake: may be the one in @answer */
static __always_inline bool get_answer(const struct handshake *handshake, struct answer *answer)
{
	struct answer_place *place = answer_place_of(handshake);
	bool found = false;

	if (!place || !same_handshake(&place->answer.handshake, handshake))
		return false;
	bpf_spin_lock(&place->lock);
	if (same_handshake(&place->answer.handshake, handshake)) {
		*answer = place->answer;
		found = true;
	}
	bpf_spin_unlock(&place->lock);
	return found;
}

/* The addresses and owners of the listener's side. */
static __always_inline bool get_ends(const struct handshake *handshake, struct connection *connection)
{
	struct answer_place *place = answer_place_of(handshake);
	bool found = false;

	if (!place)
		return false;
	bpf_spin_lock(&place->lock);
	if (same_handshake(&place->answer.handshake, handshake) && place->answer.has_ends) {
		connection->client[1] = place->ends.client;
		connection->server[1] = place->ends.server;
		connection->server_owner = place->ends.server_owner;
		found = true;
	}
	bpf_spin_unlock(&place->lock);
	return found;
}

static __always_inline bool is_refused_as_bulk(const struct answer *answer)
{
	return answer->refused == REFUSED_BULK + 1;
}

/* The client's end has decided: for the server's end, which comes next. */
static __always_inline void mark_answer(const struct handshake *handshake, bool client_entered, __u8 to_observe, __u8 refused)
{
	struct answer_place *place = answer_place_of(handshake);

	if (!place)
		return;
	bpf_spin_lock(&place->lock);
	if (same_handshake(&place->answer.handshake, handshake)) {
		place->answer.client_entered = client_entered;
		place->answer.to_observe = to_observe;
		place->answer.refused = refused;
	}
	bpf_spin_unlock(&place->lock);
}

static __always_inline struct sock *request_of(struct bpf_sock_ops *ops)
{
	struct sock *sk = NULL;

	/* The program's context is the kernel's struct bpf_sock_ops_kern: readable on every kernel, where
	 * bpf_cast_to_kern_ctx() needs 6.2 and ops->sk is NULL for a request socket. */
	bpf_probe_read_kernel(&sk, sizeof(sk), (void *)ops + bpf_core_field_offset(struct bpf_sock_ops_kern, sk));
	return sk;
}

static __noinline int syn_answered(struct bpf_sock_ops *ops)
{
	struct tcp_request_sock *req = (void *)request_of(ops);
	struct sock_common *common = (void *)req;
	struct answer_ends ends = {};
	struct answer answer = {};
	struct sock *listener;

	if (!req)
		return 0;
	listener = READ(common, skc_listener);
	if (!listener)
		listener = listener_behind(common);
	if (!listener)
		return 0;
	listener = socket_at(listener);
	answer.handshake.client_seq = READ(req, rcv_isn) + 1;
	answer.handshake.server_seq = READ(req, snt_isn) + 1;
	answer.port = READ(common, skc_num);
	answer.nonblocking = nonblocking(listener);
	answer.exclusion = exclusion_behind(req, listener);
	answer.server_executable = executable_of_listener(listener);
	if (rules_ask()) {
		local_endpoint(common, &ends.server);
		remote_endpoint(common, &ends.client);
		ends.server_owner = owner_of(listener);
		answer.has_ends = true;
	}
	put_answer(&answer, &ends);
	return 0;
}
