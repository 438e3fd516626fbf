/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who may enter the sockhash, and how its two ends find each other.
 *
 *   client calls connect(2)                connecting[CPU] = its program
 *   SYN answered by a listener of ours     answers[place] = what the server's side is
 *   client ESTABLISHED                     finds that: the peer is local; the rules decide; enters, pairings[sequence numbers] = itself
 *   accepted socket ESTABLISHED            finds the client there; enters, and says so there
 *   client's first send                    finds its server there, and deletes the element
 *
 * So a connection that stays outside costs no element of a map. A client whose SYN nobody here answered has a peer on another host: it
 * never enters, so it pays nothing from then on. */
#pragma once

#include "callbacks.h"
#include "cookies.h"
#include "count.h"
#include "habits.h"
#include "handshake.h"
#include "lane.h"
#include "learning.h"
#include "leave.h"
#include "memory.h"
#include "refused.h"
#include "rules.h"
#include "trace.h"
#include "socket.h"
#include "worth.h"

/* What sockops calls is not inlined: their stacks would add up. */

static __always_inline struct sock *request_of(struct bpf_sock_ops *ops)
{
	struct sock *sk = NULL;

	/* The program's context is the kernel's struct bpf_sock_ops_kern: readable on every kernel, where
	 * bpf_cast_to_kern_ctx() needs 6.2 and ops->sk is NULL for a request socket. */
	bpf_probe_read_kernel(&sk, sizeof(sk), (void *)ops + bpf_core_field_offset(struct bpf_sock_ops_kern, sk));
	return sk;
}

static __always_inline enum exclusion exclusion_of(struct sock *sk)
{
	if (has_ulp(sk))
		return EXCLUDED_PROTOCOL;
	return is_kernels(sk) ? EXCLUDED_KERNEL : NOT_EXCLUDED;
}

/* Behind an MPTCP socket is a TCP socket with MPTCP's ULP that listens for it. A plain client's connection has lost the ULP when it is
 * established, but mptcp_stream_accept() takes whatever was put into a sockmap before for MPTCP's: a warning, or worse
 * (CVE-2025-68227). The request says so as well, where a cookie hides which of several listeners has sent it. */
static __always_inline enum exclusion exclusion_behind(struct tcp_request_sock *req, struct sock *listener)
{
	if (bpf_core_field_exists(req->is_mptcp) && READ(req, is_mptcp))
		return EXCLUDED_PROTOCOL;
	return exclusion_of(listener);
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

/* @refused: enum refusal, plus 1: why it could not enter */
static __always_inline void refuse_end(__u8 *refused, enum refusal reason)
{
	count_refused(reason);
	*refused = reason + 1;
}

static __always_inline bool refuse_client(struct answer *answer, enum refusal reason)
{
	refuse_end(&answer->refused, reason);
	return false;
}

static __always_inline bool excludes(enum exclusion exclusion, struct answer *answer)
{
	if (exclusion == EXCLUDED_PROTOCOL)
		refuse_client(answer, REFUSED_PROTOCOL);
	if (exclusion == EXCLUDED_KERNEL)
		refuse_client(answer, REFUSED_KERNEL_SOCKET);
	return exclusion != NOT_EXCLUDED;
}

/* @client: NULL when it is not known which that is */
static __always_inline bool programs_may_enter(const struct executable *client, const struct executable *server,
					       struct answer *answer)
{
	enum habit clients = client ? habit_of(client) : HABIT_UNKNOWN, servers = habit_of(server);

	if (clients > HABIT_RECEIVES || servers > HABIT_RECEIVES)
		return refuse_client(answer, REFUSED_HABIT);
	if (!learns_first() || (clients == HABIT_RECEIVES && servers == HABIT_RECEIVES))
		return true;
	answer->to_observe = (clients == HABIT_UNKNOWN ? OBSERVE_CLIENT : 0) |
			     (servers == HABIT_UNKNOWN ? OBSERVE_SERVER : 0);
	return refuse_client(answer, REFUSED_UNKNOWN);
}

/* Not inlined: what it needs is on the stack only while it decides. */
static __noinline enum decision rules_decide(struct sock *sk, const struct answer *answer)
{
	struct connection connection = {};

	if (!rules_ask())
		return ACCELERATE;
	/* Rules may have come between the SYN and now. */
	if (!get_ends(answer, &connection))
		return NO_ACCEPT_RULE;
	local_endpoint((void *)sk, &connection.client[0]);
	remote_endpoint((void *)sk, &connection.server[0]);
	connection.client_owner = owner_of(sk);
	return decide_by_rules(&connection, true);
}

/* What connections of these programs are like was learnt (worth.h): where all enter at once, nothing is. */
static __always_inline bool pays_to_enter(const struct executable *client, struct answer *answer)
{
	if (!learns_first())
		return true;
	switch (worth_of(client, &answer->server_executable, answer->port)) {
	case WORTH_SHORT:
		return refuse_client(answer, REFUSED_SHORT_LIVED);
	case WORTH_BULK:
		return refuse_client(answer, REFUSED_BULK);
	default:
		return true;
	}
}

static __always_inline bool client_may_enter(struct sock *sk, struct answer *answer, const struct executable *executable)
{
	if (excludes(exclusion_of(sk), answer) || excludes(answer->exclusion, answer))
		return false;
	if (is_without_memory())
		return refuse_client(answer, REFUSED_NO_MEMORY);
	if (sends_zerocopy(sk))
		return refuse_client(answer, REFUSED_HABIT);
	if (!all_sockets && !nonblocking(sk))
		return refuse_client(answer, REFUSED_BLOCKING_CLIENT);
	if (!all_sockets && !answer->nonblocking)
		return refuse_client(answer, REFUSED_BLOCKING_LISTENER);
	switch (rules_decide(sk, answer)) {
	case ACCELERATE:
		return pays_to_enter(executable, answer) && programs_may_enter(executable, &answer->server_executable, answer);
	case RETURN_RULE:
		return refuse_client(answer, REFUSED_RETURN_RULE);
	default:
		return refuse_client(answer, REFUSED_NO_ACCEPT_RULE);
	}
}

static __always_inline bool server_may_enter(struct sock *sk, __u8 *refused)
{
	if (has_ulp(sk))
		refuse_end(refused, REFUSED_PROTOCOL);
	else if (is_kernels(sk))
		refuse_end(refused, REFUSED_KERNEL_SOCKET);
	else if (sends_zerocopy(sk))
		refuse_end(refused, REFUSED_HABIT);
	return !*refused;
}

static __always_inline void refuse_for(__u8 *refused, long error)
{
	if (error == -EBUSY)
		refuse_end(refused, REFUSED_OTHER_SOCKMAP);
	else if (error == -E2BIG)
		refuse_end(refused, REFUSED_MAP_FULL);
	else if (error == -ENOMEM)
		refuse_end(refused, REFUSED_NO_MEMORY);
	else
		count_error(-error);
}

/* NULL when it could not; then @refused is as in refuse_end(). */
static __always_inline struct lane *enter(struct bpf_sock_ops *ops, struct bpf_sock *sk, struct end *self, __u8 *refused)
{
	struct lane *lane;
	long error;

	/* Who has a socket first keeps it: a sockmap with other programs would let us in. */
	if (psock_of((void *)self->tcp_sock)) {
		refuse_end(refused, REFUSED_OTHER_SOCKMAP);
		return NULL;
	}
	lane = bpf_sk_storage_get(&lanes, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!lane) {
		refuse_end(refused, REFUSED_NO_STORAGE);
		return NULL;
	}
	lane->key = self->key;
	lane->since_ns = bpf_ktime_get_ns();
	lane->tcp_bytes_end = ops->snd_nxt;
	self->lane = (__u64)lane;
	error = bpf_sock_hash_update(ops, &sockets, &self->key, BPF_ANY);
	if (error) {
		bpf_sk_storage_delete(&lanes, sk);
		refuse_for(refused, error);
		return NULL;
	}
	lane->psock = (__u64)psock_of_member((void *)self->tcp_sock);
	lane->callbacks = ask_for_callbacks(ops, CALLBACKS);
	remember_tcp((void *)self->tcp_sock);
	return lane;
}

static __always_inline void say_entered(struct end_of *entered, const struct handshake *handshake, const struct end *self)
{
	entered->handshake = *handshake;
	entered->end.cookie = self->cookie;
	entered->end.tcp_sock = self->tcp_sock;
	entered->end.lane = self->lane;
	barrier();
	entered->end.key = self->key;
}

/* Not inlined, so that what it needs is not on the stack while the rules decide: 5.10 counts strictly. */
static __noinline int client_enters(struct bpf_sock_ops *ops, struct bpf_sock *sk, struct answer *answer)
{
	struct tcp_sock *tp = (void *)bpf_skc_to_tcp_sock(sk);
	struct handshake key = answer->handshake;
	const struct executable *executable;
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
	executable = executable_of_client((void *)tp, key.client_seq);
	if (executable)
		lane->executable = *executable;
	lane->worth = worth_place(executable, &answer->server_executable, answer->port);
	lane->notice.executables = 1;
	pairing.worth = lane->worth;
	bpf_map_update_elem(&pairings, &key, &pairing, BPF_ANY);
	return 1;
}

static __noinline int client_established(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct handshake key = { ops->snd_nxt, ops->rcv_nxt };
	struct tcp_sock *tp = (void *)bpf_skc_to_tcp_sock(sk);
	const struct executable *executable;
	struct answer answer;
	bool enters;

	if (!tp)
		return 0;
	if (!get_answer(&key, &answer)) {
		count_refused(REFUSED_NOT_LOCAL);
		return 0;
	}
	executable = executable_of_client((void *)tp, key.client_seq);
	enters = client_may_enter((void *)tp, &answer, executable) && client_enters(ops, sk, &answer);
	if (answer.to_observe & OBSERVE_CLIENT && executable)
		observe(ops, (void *)tp, executable, 0);
	if (is_refused_as_bulk(&answer))
		note_bulk(ops);
	if (answer.refused) {
		remember_refused(bpf_get_socket_cookie(ops), executable, &answer.server_executable, answer.port, answer.refused - 1);
		trace_refused((void *)tp, executable, &answer.server_executable, answer.refused - 1);
	}
	if (enters || answer.to_observe || is_refused_as_bulk(&answer))
		mark_answer(&key, enters, answer.to_observe, answer.refused);
	return 0;
}

/* What its client, which has not entered, has left to do. */
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
