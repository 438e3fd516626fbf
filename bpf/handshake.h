/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The handshake of a connection, in whose course both ends enter the sockhash and find each other; a line for each callback:
 *
 *   client calls connect(2)                connecting[place] = its program (connecting.h)
 *   SYN answered by a listener of ours     answers[place] = what the server's side is (answers.h)
 *   client ESTABLISHED                     finds that: the peer is local; the rules decide (admission.h); enters (enter.h),
 *                                          pairings[sequence numbers] = itself (pairing.h)
 *   accepted socket ESTABLISHED            finds the client there; enters, and says so there
 *   client's first send                    finds its server there, and deletes the element
 *
 * So a connection that stays outside costs no element of a map. A client whose SYN nobody here answered has a peer on another host: it
 * never enters, so it pays nothing from then on. */
#pragma once

#include "admission.h"
#include "answers.h"
#include "connecting.h"
#include "cookies.h"
#include "count.h"
#include "departures.h"
#include "enter.h"
#include "executable.h"
#include "lane.h"
#include "learning.h"
#include "pairing.h"
#include "refused.h"
#include "seqs.h"
#include "trace.h"
#include "worth.h"

/* What sockops calls is not inlined: the stacks of all callbacks would add up. This neither, so that what it needs is not on the
 * stack while the rules decide: 5.10 counts strictly. */
static __noinline int client_enters(struct bpf_sock_ops *ops, struct bpf_sock *sk, struct answer *answer,
				    const struct executable *executable, __u32 rule)
{
	struct tcp_sock *tp = (void *)bpf_skc_to_tcp_sock(sk);
	struct handshake key = answer->handshake;
	struct pairing pairing = {};
	struct lane *lane;

	if (!tp)
		return 0;
	pairing.server_executable = answer->server_executable;
	pairing.client.handshake = key;
	pairing.client.end.cookie = bpf_get_socket_cookie(ops);
	pairing.client.end.key = pairing.client.end.cookie << 1;
	pairing.client.end.tcp_sock = (__u64)tp;
	lane = enter(ops, sk, &pairing.client.end, &answer->refused);
	if (!lane)
		return 0;
	lane->handshake = key;
	lane->rule = rule;
	lane->executable = *executable;
	lane->worth = worth_place(executable, &answer->server_executable, answer->port);
	lane->notice.executables = 1;
	pairing.worth = lane->worth;
	bpf_map_update_elem(&pairings, &key, &pairing, BPF_ANY);
	return 1;
}

static __noinline int client_established(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct tcp_sock *tp = (void *)bpf_skc_to_tcp_sock(sk);
	struct answer answer = { .handshake = { ops->snd_nxt, ops->rcv_nxt } };
	struct executable executable = {};
	__u32 rule = 0;
	bool enters;

	if (!tp)
		return 0;
	if (!get_answer(&answer.handshake, &answer)) {
		count_refused(REFUSED_NOT_LOCAL);
		return 0;
	}
	get_client_executable((void *)tp, answer.handshake.client_seq, &executable);
	enters = client_may_enter(ops, (void *)tp, &answer, &executable, &rule) && client_enters(ops, sk, &answer, &executable, rule);
	if (answer.to_observe & OBSERVE_CLIENT)
		observe(ops, (void *)tp, &executable, 0);
	if (is_refused_as_bulk(&answer))
		note_bulk(ops);
	if (answer.refused) {
		remember_refused(bpf_get_socket_cookie(ops), &executable, &answer.server_executable, answer.port, answer.refused - 1);
		trace_refused((void *)tp, &executable, &answer.server_executable, answer.refused - 1);
	}
	if (enters || answer.to_observe || is_refused_as_bulk(&answer))
		mark_answer(&answer.handshake, enters, answer.to_observe, answer.refused);
	return 0;
}

/* The client has not entered, and has said in its answer what the server's end is to do. */
static __noinline int stays_outside(struct bpf_sock_ops *ops, struct tcp_sock *tp, const struct handshake *key)
{
	struct answer answer;

	if (!get_answer(key, &answer))
		return 0;
	if (answer.to_observe & OBSERVE_SERVER)
		observe(ops, (void *)tp, &answer.server_executable, 0);
	if (is_refused_as_bulk(&answer))
		note_bulk(ops);
	return 0;
}

static __noinline int server_enters(struct bpf_sock_ops *ops, struct bpf_sock *sk, const struct handshake *key)
{
	struct pairing *pairing = bpf_map_lookup_elem(&pairings, key);
	struct tcp_sock *tp = (void *)bpf_skc_to_tcp_sock(sk);
	struct lane *lane = NULL;
	struct end self = {};
	__u8 refused = 0;

	if (!tp || !pairing || !same_handshake(&pairing->client.handshake, key))
		return 0;
	self.cookie = bpf_get_socket_cookie(ops);
	self.key = pairing->client.end.key | 1;
	self.tcp_sock = (__u64)tp;
	if (server_may_enter((void *)tp, &refused))
		lane = enter(ops, sk, &self, &refused);
	if (!lane) {
		if (refused)
			remember_refused(self.cookie, NULL, &pairing->server_executable, ops->local_port, refused - 1);
		bpf_map_delete_elem(&pairings, key);
		return 0;
	}
	lane->peer = pairing->client.end;
	lane->executable = pairing->server_executable;
	lane->worth = pairing->worth;
	lane->notice.executables = 1;
	count_paired();
	trace_lane((void *)tp, lane, TRACE_PAIRED, 0);
	say_entered(&pairing->server, key, &self);
	return 1;
}

static __noinline int server_established(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct handshake key = { ops->rcv_nxt, ops->snd_nxt };
	struct tcp_sock *tp = (void *)bpf_skc_to_tcp_sock(sk);
	struct answer_place *place = answer_place_of(&key);

	if (!tp || !place)
		return 0;
	give_up_header_options(ops, (void *)tp);
	/* Its client's callback has come before, and most often nothing is to be done. */
	if (same_handshake(&place->answer.handshake, &key) && !place->answer.client_entered)
		return place->answer.to_observe || is_refused_as_bulk(&place->answer) ? stays_outside(ops, tp, &key) : 0;
	return server_enters(ops, sk, &key);
}
