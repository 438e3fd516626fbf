/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections that are older than the data plane, or that have left it.
 *
 *   scan_sockets   an iterator over all descriptors: each TCP socket of the cgroup, with what pairs and describes it, and each
 *                    MPTCP listener: what it accepts stays outside
 *   user space       matches the ends, asks `judge` for the rules' decision, puts both into the sockhash by descriptor,
 *                    which takes their locks (sock_map_update_elem_sys())
 *   join             makes them a pair; until then what they send passes to TCP
 *
 * So the ends of a busy connection match as well as those of an idle one, by the same 64 bits as in the handshake (seqs.h). */
#pragma once

#include "count.h"
#include "habits.h"
#include "lane.h"
#include "learning.h"
#include "leave.h"
#include "memory.h"
#include "rules.h"
#include "seqs.h"
#include "trace.h"
#include "worth.h"

#define CGROUP_DEPTH_MAX 64
#define CGROUP_ROOT_ID 1
#define RECENT_SEGMENTS_MIN 8
#define UNKNOWN_CPU 0xffff

/* As the client's end or the server's: a client counts its SYN among the bytes acknowledged, a server does not
 * (tcp_rcv_synsent_state_process(), tcp_create_openreq_child()). */
static __always_inline bool are_ends(struct tcp_sock *client, struct tcp_sock *server)
{
	for (int i = 0; i < READ_TRIES; i++) {
		if (own_seq(client) + 1 == peer_seq(server) && peer_seq(client) == own_seq(server))
			return true;
	}
	return false;
}

static __noinline int is_in_cgroup(struct sock *sk, __u64 id)
{
	struct sock_cgroup_data___numbers *old = (void *)__builtin_preserve_access_index(&sk->sk_cgrp_data);
	struct cgroup_subsys_state *parent;
	struct cgroup *at;

	if (bpf_core_field_exists(old->val)) {
		__u64 value = READ(old, val);

		if (value & 3 || !value)
			return id == CGROUP_ROOT_ID; /* sock_cgroup_ptr() */
		at = (void *)value;
	} else {
		at = READ(sk, sk_cgrp_data.cgroup);
	}
	for (int i = 0; i < CGROUP_DEPTH_MAX; i++) {
		if (!at)
			return 0;
		if (READ(at, kn, id) == id)
			return 1;
		parent = READ(at, self.parent);
		if (!parent)
			return 0;
		at = (void *)parent - bpf_core_field_offset(struct cgroup, self);
	}
	return 0;
}

/* What it has sent since the last scans that saw enough to tell small messages from bulk. */
static __always_inline void note_recent(struct scanned *scanned, struct tcp_sock *tp)
{
	struct departure *note = bpf_map_lookup_elem(&departures, &scanned->cookie);
	__u32 segments;
	__u64 bytes;

	if (!note)
		return;
	segments = READ(tp, data_segs_out) - note->data_segs_out;
	bytes = READ(tp, bytes_sent) - note->bytes_sent;
	if (segments >= RECENT_SEGMENTS_MIN) {
		note->data_segs_out += segments;
		note->bytes_sent += bytes;
		note->recent_segments = segments;
		note->recent_bytes = bytes > ~0u ? ~0u : bytes;
	}
	scanned->left = note->why;
	scanned->recent_segments = note->recent_segments;
	scanned->recent_bytes = note->recent_bytes;
	scanned->mss = READ(tp, mss_cache);
}

static __noinline int describe(struct scanned *scanned, struct sock *sk, struct file *file, int members)
{
	struct tcp_sock *tp = (void *)sk;
	__u8 state = READ(sk, __sk_common.skc_state);

	scanned->sock = (__u64)sk;
	scanned->cookie = READ(sk, __sk_common.skc_cookie.counter);
	scanned->net = (__u64)READ(sk, __sk_common.skc_net.net);
	scanned->owner = owner_of(sk);
	local_endpoint((void *)sk, &scanned->local);
	if (is_mptcp_listener(sk)) {
		scanned->kind = SCANNED_MPTCP_LISTENER;
		return 1;
	}
	if (state == BPF_TCP_LISTEN) {
		scanned->kind = SCANNED_LISTENER;
		remember_listener(sk, &scanned->executable);
		return 1;
	}
	if (!may_send(sk) && psock_of(sk)) {
		scanned->kind = SCANNED_CLOSED;
		return 1;
	}
	scanned->habit = habit_of(&scanned->executable);
	if (state != BPF_TCP_ESTABLISHED || has_ulp(sk))
		return 0;
	remote_endpoint((void *)sk, &scanned->remote);
	scanned->blocking = !(READ(file, f_flags) & O_NONBLOCK);
	scanned->own_seq = own_seq(tp);
	scanned->peer_seq = peer_seq(tp);
	scanned->stuck = is_stuck(sk);
	if (psock_of(sk)) {
		scanned->kind = SCANNED_MEMBER;
		scanned->unread_bytes = unread_bytes(sk);
		return members || scanned->stuck || (scanned->blocking && !all_sockets);
	}
	if (is_kernels(sk))
		return 0;
	scanned->kind = SCANNED_CONNECTED;
	note_recent(scanned, tp);
	if (scanned->habit == HABIT_UNKNOWN && learns_first() && is_known(&scanned->executable))
		scan_outsider(sk, &scanned->executable);
	return (all_sockets || !scanned->blocking) && !is_slept_on(sk);
}

static __always_inline void scan_socket(struct bpf_iter__task_file *at, struct task_struct *task,
					struct file *file)
{
	struct sock *sk = sock_of(file);
	struct scanned scanned = {};
	struct mm_struct *mm;
	struct control *now;

	now = current_control();
	mm = READ(task, mm);
	if (!sk || !now || !mm || !(is_tcp(sk) || is_mptcp_listener(sk)) || !is_in_cgroup(sk, now->cgroup_id))
		return;
	scanned.executable = executable_of(mm);
	meet(&scanned.executable, task);
	if (!describe(&scanned, socket_at(sk), file, now->scan_members))
		return;
	scanned.pid = visible_pid(task);
	scanned.fd = at->fd;
	bpf_seq_write(at->meta->seq, &scanned, sizeof(scanned));
}

/* A lane as it is when both ends have just entered. It may be one that has left, and be read by a peer meanwhile:
 * without a peer's key its messages pass. */
static __always_inline void reset(struct lane *lane, __u64 key, const struct executable *executable)
{
	lane->peer.key = 0;
	barrier();
	lane->key = key;
	lane->since_ns = bpf_ktime_get_ns();
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
