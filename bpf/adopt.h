/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections that are older than the data plane, or that have left it.
 *
 *   scan_sockets   finds the sockets (scan.h)
 *   user space     matches the ends, asks `judge` for the rules' decision, puts both into the sockhash by descriptor,
 *                  which takes their locks (sock_map_update_elem_sys())
 *   join           makes them a pair; until then what they send passes to TCP
 *
 * So the ends of a busy connection match as well as those of an idle one, by the same 64 bits as in the handshake (seqs.h). */
#pragma once

#include "connection.h"
#include "count.h"
#include "executable.h"
#include "lane.h"
#include "leave.h"
#include "memory.h"
#include "packet.h"
#include "rules.h"
#include "seqs.h"
#include "trace.h"
#include "socket.h"
#include "worth.h"

/* A packet for `judge`, `join` and `ask_to_leave`; for `join` the connection has the server's addresses only. */
struct adoption {
	__u8 header[16];
	__u64 client_key; /* in the sockhash; the server's is the next */
	__u64 client_cookie;
	__u64 server_cookie;
	struct connection connection;
	struct executable client_executable;
	struct executable server_executable;
	__u32 argument; /* `judge`: count the decision; `join`: the lane's rule; `ask_to_leave`: enum leave */
	__u32 pad;
};

/* The two are the ends of one connection. A client counts its SYN among the bytes acknowledged, a server does not
 * (tcp_rcv_synsent_state_process(), tcp_create_openreq_child()). */
static __always_inline bool are_ends(struct tcp_sock *client, struct tcp_sock *server)
{
	for (int i = 0; i < READ_TRIES; i++) {
		if (own_seq(client) + 1 == peer_seq(server) && peer_seq(client) == own_seq(server))
			return true;
	}
	return false;
}

/* The CPU of a socket that has sent, nobody knows on which: 0 would say that it has not sent yet (struct notice). */
#define UNKNOWN_CPU 0xffff

/* A lane as it is when both ends have just entered. The lane may be that of a socket that has left, and be read by a peer meanwhile:
 * without a peer's key its messages pass. */
static __always_inline void reset(struct lane *lane, __u64 key, const struct executable *executable)
{
	lane->peer.key = 0;
	barrier();
	lane->key = key;
	lane->since_ns = bpf_ktime_get_ns();
	lane->account = ACCOUNT_ADOPTED;
	lane->mean_bytes = 0;
	lane->on_tcp = 1;
	lane->burst = 0;
	lane->worth = 0;
	lane->messages_alone = lane->messages;
	lane->quiet = 0;
	lane->asked = 0;
	lane->mm = 0;
	lane->epoch = 0;
	lane->executable = *executable;
	lane->notice.executables++;
	lane->habits_seen--;
	lane->handed_over = 0;
	lane->left_at_ns = 0;
	lane->notice.cpu = UNKNOWN_CPU;
	lane->notice.passes = 0;
	lane->notice.leave = STAY;
}

static __always_inline void introduce(struct lane *lane, __u64 key, __u64 cookie, struct sock *peer,
				      struct lane *peer_lane)
{
	lane->peer.cookie = cookie;
	lane->peer.tcp_sock = (__u64)peer;
	lane->peer.lane = (__u64)peer_lane;
	barrier();
	lane->peer.key = key;
}

/* Both ends are in the sockhash: pairs them. */
static __noinline int join_ends(struct adoption *adoption)
{
	__u64 client_key = adoption->client_key, server_key = adoption->client_key | 1;
	struct lane *client_lane, *server_lane;
	struct bpf_sock *client, *server;
	struct sock *client_tp, *server_tp;
	int joined = 0;

	client = bpf_map_lookup_elem(&sockets, &client_key);
	if (!client)
		return 0;
	server = bpf_map_lookup_elem(&sockets, &server_key);
	if (!server) {
		bpf_sk_release(client);
		return 0;
	}
	client_tp = (void *)bpf_skc_to_tcp_sock(client);
	server_tp = (void *)bpf_skc_to_tcp_sock(server);
	client_lane = bpf_sk_storage_get(&lanes, client, 0, BPF_SK_STORAGE_GET_F_CREATE);
	server_lane = bpf_sk_storage_get(&lanes, server, 0, BPF_SK_STORAGE_GET_F_CREATE);
	/* Read from the sockets that are in: the descriptors may have become others' since the scan. */
	if (client_tp && server_tp && client_lane && server_lane &&
	    are_ends((void *)socket_at(client_tp), (void *)socket_at(server_tp))) {
		remember_tcp(client_tp);
		reset(client_lane, client_key, &adoption->client_executable);
		reset(server_lane, server_key, &adoption->server_executable);
		client_lane->messages_before = client_lane->messages + server_lane->messages;
		client_lane->bytes_before = client_lane->bytes + server_lane->bytes;
		client_lane->rule = adoption->argument;
		client_lane->psock = (__u64)psock_of_member(socket_at(client_tp));
		server_lane->psock = (__u64)psock_of_member(socket_at(server_tp));
		introduce(client_lane, server_key, adoption->server_cookie, server_tp, server_lane);
		introduce(server_lane, client_key, adoption->client_cookie, client_tp, client_lane);
		count_adopted();
		trace_lane((void *)client_tp, client_lane, TRACE_ADOPTED, 0);
		/* It has lived until a scan, so it is not one of those that are over at once. */
		client_lane->worth = worth_place(&client_lane->executable, &server_lane->executable, adoption->connection.server[1].port);
		server_lane->worth = client_lane->worth;
		note_worth(client_lane->worth, WORTH_IT);
		joined = 1;
	}
	bpf_sk_release(server);
	bpf_sk_release(client);
	return joined;
}

/* For reasons that user space has: the client says it, its peer follows. */
static __noinline int ask_client_to_leave(struct adoption *adoption)
{
	__u64 key = adoption->client_key;
	struct bpf_sock *client = bpf_map_lookup_elem(&sockets, &key);
	struct lane *lane;

	if (!client)
		return 0;
	lane = bpf_sk_storage_get(&lanes, client, 0, 0);
	if (lane) {
		want_to_leave(lane, (void *)bpf_skc_to_tcp_sock(client), adoption->argument);
		want_release(key);
		want_release(key | 1);
	}
	bpf_sk_release(client);
	return lane != NULL;
}

/* As ask_rule_set(), of a connection that user space asks about. */
__noinline enum decision judge_by_rule_set(struct __sk_buff *packet, __u32 slot, __u32 counted)
{
	struct adoption *adoption = packet_of(adoption, packet);
	struct connection connection;

	if (!adoption)
		return NO_ACCEPT_RULE;
	connection = adoption->connection;
	return decide_in_slot(&connection, slot, counted);
}

/* Counts only when the argument says so. */
static __always_inline enum decision judge_connection(struct __sk_buff *packet, bool counted)
{
	struct control *now = current_control();

	if (!now)
		return NO_ACCEPT_RULE;
#pragma clang loop unroll(disable)
	for (__u32 filter = first_filter(); filter < PASS_FILTERS_MAX; filter++) {
		if (is_pass_filter_in_force(filter) && judge_by_rule_set(packet, RULE_SLOTS + filter, false) == RETURN_RULE)
			return ASKED_TO_PASS;
	}
	return judge_by_rule_set(packet, now->rules_slot & 1, counted);
}
