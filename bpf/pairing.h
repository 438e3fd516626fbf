/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who may enter the sockhash, and how its two ends find each other.
 *
 *   SYN answered by a listener of ours     answers[handshake] = what the server's side is
 *   client ESTABLISHED                     finds its answer: the peer is local; the rules decide; enters; clients[handshake]
 *   accepted socket ESTABLISHED            finds its client; enters; servers[client's key]
 *   client's first send                    finds its server
 *
 * A client whose SYN nobody here answered has a peer on another host: it never enters, so it pays nothing from then on. */
#pragma once

#include "callbacks.h"
#include "cookies.h"
#include "count.h"
#include "habits.h"
#include "lane.h"
#include "learning.h"
#include "leave.h"
#include "memory.h"
#include "rules.h"
#include "socket.h"

/* Handshakes between the SYN and the accepting end's ESTABLISHED, LRU; user space gives hosts of many CPUs more. */
#define HANDSHAKES_MAX 8192

/* Both ends of a TCP connection know the pair of initial sequence numbers, and no NAT rewrites them: 64 bits that name
 * a connection across REDIRECT, DNAT, SNAT and network namespaces. */
struct handshake {
	__u32 client_seq; /* the client's first data byte: its ISN + 1 */
	__u32 server_seq; /* the server's */
};

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
	struct endpoint server;
	struct endpoint client;
	struct owner server_owner;
	__u32 nonblocking; /* the listener */
	enum exclusion exclusion;
	struct executable server_program; /* all 0: not known yet */
	__u32 to_observe; /* enum to_observe */
	__u32 pad;
};

/* A client that waits for its server's end, and what its server's program is. */
struct waiting_client {
	struct end end;
	struct executable server_program;
};

/* Consumed by the client that was answered, or by the accepted socket when its client is not ours. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, HANDSHAKES_MAX);
	__type(key, struct handshake);
	__type(value, struct answer);
} answers SEC(".maps");

/* Clients in the sockhash that wait for their server's end. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, HANDSHAKES_MAX);
	__type(key, struct handshake);
	__type(value, struct waiting_client);
} clients SEC(".maps");

/* A client's key -> its server's end, from pairing until the client first sends or closes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, ENDS_MAX / 4);
	__type(key, __u64);
	__type(value, struct end);
} servers SEC(".maps");

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

/* Whether there is a reason, which it counts. */
static __always_inline bool refuse(enum exclusion exclusion)
{
	if (exclusion == EXCLUDED_PROTOCOL)
		count_refused(REFUSED_PROTOCOL);
	if (exclusion == EXCLUDED_KERNEL)
		count_refused(REFUSED_KERNEL_SOCKET);
	return exclusion != NOT_EXCLUDED;
}

static __noinline int syn_answered(struct bpf_sock_ops *ops)
{
	struct tcp_request_sock *req = (void *)request_of(ops);
	struct sock_common *common = (void *)req;
	struct handshake key = {};
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
	key.client_seq = READ(req, rcv_isn) + 1;
	key.server_seq = READ(req, snt_isn) + 1;
	local_endpoint(common, &answer.server);
	remote_endpoint(common, &answer.client);
	answer.server_owner = owner_of(listener);
	answer.nonblocking = nonblocking(listener);
	answer.exclusion = exclusion_behind(req, listener);
	answer.server_program = program_of_listener(listener);
	bpf_map_update_elem(&answers, &key, &answer, BPF_ANY);
	return 0;
}

/* @client: NULL when it is not known which that is */
static __always_inline bool programs_may_enter(const struct executable *client, const struct executable *server,
						struct answer *answer)
{
	enum habit clients = client ? habit_of(client) : HABIT_UNKNOWN, servers = habit_of(server);

	if (clients > HABIT_RECEIVES || servers > HABIT_RECEIVES) {
		count_refused(REFUSED_HABIT);
		return false;
	}
	if (!learns_first() || (clients == HABIT_RECEIVES && servers == HABIT_RECEIVES))
		return true;
	answer->to_observe = (clients == HABIT_UNKNOWN ? OBSERVE_CLIENT : 0) |
			     (servers == HABIT_UNKNOWN ? OBSERVE_SERVER : 0);
	count_refused(REFUSED_UNKNOWN);
	return false;
}

/* Not inlined: what it needs is on the stack only while it decides. */
static __noinline enum decision rules_decide(struct sock *sk, const struct answer *answer)
{
	struct connection connection = {};

	local_endpoint((void *)sk, &connection.client[0]);
	remote_endpoint((void *)sk, &connection.server[0]);
	connection.client[1] = answer->client;
	connection.server[1] = answer->server;
	connection.client_owner = owner_of(sk);
	connection.server_owner = answer->server_owner;
	return decide_by_rules(&connection, true);
}

static __always_inline bool client_may_enter(struct sock *sk, struct answer *answer, const struct executable *program)
{
	if (refuse(exclusion_of(sk)) || refuse(answer->exclusion))
		return false;
	if (is_without_memory()) {
		count_refused(REFUSED_NO_MEMORY);
		return false;
	}
	if (sends_zerocopy(sk)) {
		count_refused(REFUSED_HABIT);
		return false;
	}
	if (!all_sockets && !nonblocking(sk)) {
		count_refused(REFUSED_BLOCKING_CLIENT);
		return false;
	}
	if (!all_sockets && !answer->nonblocking) {
		count_refused(REFUSED_BLOCKING_LISTENER);
		return false;
	}
	switch (rules_decide(sk, answer)) {
	case ACCELERATE:
		return programs_may_enter(program, &answer->server_program, answer);
	case RETURN_RULE:
		count_refused(REFUSED_RETURN_RULE);
		return false;
	default:
		count_refused(REFUSED_NO_ACCEPT_RULE);
		return false;
	}
}

static __always_inline bool server_may_enter(struct sock *sk)
{
	if (refuse(exclusion_of(sk)))
		return false;
	if (sends_zerocopy(sk)) {
		count_refused(REFUSED_HABIT);
		return false;
	}
	return true;
}

static __always_inline void count_not_entered(long error)
{
	if (error == -EBUSY)
		count_refused(REFUSED_OTHER_SOCKMAP);
	else if (error == -E2BIG)
		count_refused(REFUSED_MAP_FULL);
	else if (error == -ENOMEM)
		count_refused(REFUSED_NO_MEMORY);
	else
		count_error(-error);
}

static __always_inline struct lane *enter(struct bpf_sock_ops *ops, struct bpf_sock *sk, struct end *self)
{
	struct lane *lane;
	long error;

	/* Who has a socket first keeps it: a sockmap with other programs would let us in. */
	if (psock_of((void *)self->tcp_sock)) {
		count_refused(REFUSED_OTHER_SOCKMAP);
		return NULL;
	}
	lane = bpf_sk_storage_get(&lanes, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!lane) {
		count_refused(REFUSED_NO_STORAGE);
		return NULL;
	}
	lane->key = self->key;
	lane->tcp_bytes_end = ops->snd_nxt;
	self->lane = (__u64)lane;
	error = bpf_sock_hash_update(ops, &sockets, &self->key, BPF_ANY);
	if (error) {
		bpf_sk_storage_delete(&lanes, sk);
		count_not_entered(error);
		return NULL;
	}
	lane->psock = (__u64)psock_of_member((void *)self->tcp_sock);
	lane->callbacks = ask_for_callbacks(ops);
	remember_tcp((void *)self->tcp_sock);
	return lane;
}

/* Not inlined, so that what it needs is not on the stack while the rules decide: 5.10 counts strictly. */
static __noinline int client_enters(struct bpf_sock_ops *ops, struct bpf_sock *sk, const struct executable *server_program)
{
	struct handshake key = { ops->snd_nxt, ops->rcv_nxt };
	struct tcp_sock *tp = (void *)bpf_skc_to_tcp_sock(sk);
	struct waiting_client waiting = {};
	const struct executable *program;
	struct lane *lane;

	if (!tp)
		return 0;
	waiting.server_program = *server_program;
	waiting.end.cookie = bpf_get_socket_cookie(ops);
	waiting.end.key = waiting.end.cookie << 1;
	waiting.end.tcp_sock = (__u64)tp;
	lane = enter(ops, sk, &waiting.end);
	if (!lane)
		return 0;
	program = program_of_client((void *)tp);
	if (program)
		lane->program = *program;
	lane->notice.programs = 1;
	bpf_map_update_elem(&clients, &key, &waiting, BPF_ANY);
	return 1;
}

static __noinline int client_established(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct handshake key = { ops->snd_nxt, ops->rcv_nxt };
	struct tcp_sock *tp = (void *)bpf_skc_to_tcp_sock(sk);
	const struct executable *program;
	struct answer *answer;
	bool may_enter;

	if (!tp)
		return 0;
	answer = bpf_map_lookup_elem(&answers, &key);
	if (!answer) {
		count_refused(REFUSED_NOT_LOCAL);
		return 0;
	}
	program = program_of_client((void *)tp);
	may_enter = client_may_enter((void *)tp, answer, program);
	if (answer->to_observe & OBSERVE_CLIENT && program)
		observe(ops, (void *)tp, program, 0);
	if (may_enter)
		client_enters(ops, sk, &answer->server_program);
	if (!(answer->to_observe & OBSERVE_SERVER))
		bpf_map_delete_elem(&answers, &key);
	return 0;
}

static __noinline int server_established(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct handshake key = { ops->rcv_nxt, ops->snd_nxt };
	struct tcp_sock *tp = (void *)bpf_skc_to_tcp_sock(sk);
	struct waiting_client *client;
	struct answer *answer;
	struct end self = {};
	struct lane *lane;

	if (!tp)
		return 0;
	give_up_header_options(ops, (void *)tp);
	client = bpf_map_lookup_elem(&clients, &key);
	if (!client) {
		answer = bpf_map_lookup_elem(&answers, &key);
		if (answer && answer->to_observe & OBSERVE_SERVER)
			observe(ops, (void *)tp, &answer->server_program, 0);
		bpf_map_delete_elem(&answers, &key);
		return 0;
	}
	self.cookie = bpf_get_socket_cookie(ops);
	self.key = client->end.key | 1;
	self.tcp_sock = (__u64)tp;
	if (server_may_enter((void *)tp) && (lane = enter(ops, sk, &self))) {
		lane->peer = client->end;
		lane->program = client->server_program;
		lane->notice.programs = 1;
		if (bpf_map_update_elem(&servers, &client->end.key, &self, BPF_ANY))
			want_to_leave(lane, (void *)tp, LEAVE_UNPAIRED);
		else
			count_paired();
	}
	bpf_map_delete_elem(&clients, &key);
	return 0;
}

/* A client learns its peer when it first needs it. */
static __always_inline bool find_peer(const struct lane *lane, struct end *peer)
{
	__u64 key = lane->key;
	struct end *server;

	if (lane->peer.key) {
		*peer = lane->peer;
		return true;
	}
	server = bpf_map_lookup_elem(&servers, &key);
	if (server)
		*peer = *server;
	return server;
}

static __always_inline void note_peer(struct lane *lane, const struct end *peer)
{
	__u64 key = lane->key;

	if (lane->peer.key)
		return;
	lane->peer = *peer;
	bpf_map_delete_elem(&servers, &key);
}

/* From a callback. Also takes the entry out of `servers` when the client never sent. */
static __always_inline bool is_paired(struct lane *lane)
{
	struct end peer;

	if (!find_peer(lane, &peer))
		return false;
	note_peer(lane, &peer);
	return true;
}
