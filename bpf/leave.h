/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Leaving the sockhash without losing a byte. A socket's unread redirected bytes are thrown away with its psock, and a
 * peer that is just about to redirect to it gets EPIPE (tcp_bpf_sendmsg_redir()). So a socket first says that it wants
 * to leave, which its peer reads on every send; and goes later, from a callback of its own
 * or by user space (release.h), when nothing is unread and its peer is seen outside of sendmsg. */
#pragma once

#include "callbacks.h"
#include "count.h"
#include "departures.h"
#include "flow.h"
#include "histograms.h"
#include "lane.h"
#include "learnt.h"
#include "reasons.h"
#include "sends.h"
#include "socket.h"
#include "trace.h"
#include "worth.h"

#define LEFT_SETTLES_NS 1000000000ull

/* Keys in the sockhash of sockets that want to leave and have no callback to do it by, until user space has taken them out. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, ENDS_MAX);
	__type(key, __u64);
	__type(value, __u32);
} leaving SEC(".maps");

/* User space is to take the socket out. */
static __noinline int want_release(__u64 key)
{
	struct learnt *learnt = all_learnt();
	__u32 one = 1;

	bpf_map_update_elem(&leaving, &key, &one, BPF_ANY);
	if (learnt)
		__sync_fetch_and_add(&learnt->sockets_leaving, 1);
	return 0;
}

/* The socket has no callback to leave by: user space is asked, once, to take it out (release.h). */
static __always_inline void leave_by_release(struct lane *lane)
{
	if (lane->asked)
		return;
	lane->asked = 1;
	want_release(lane->key);
}

/* Says that the socket wants to leave, once: the first reason counts. Its peer sees that in the notice.
 * @sk: the lane's socket, NULL where it is not known */
static __always_inline void want_to_leave(struct lane *lane, struct sock *sk, enum leave why)
{
	bool waits = why == LEAVE_BY_HABIT || why == LEAVE_UNKNOWN; /* who has a habit that cannot be served may be waiting already */
	bool alone = !sk || !has_callbacks(sk);

	if (lane->notice.leave)
		return;
	lane->notice.leave = why;
	if (alone || waits)
		leave_by_release(lane);
	/* A peer that only reads sees no notice: it would stay as long as the connection lives. */
	if (alone || waits || why == LEAVE_BULK || why == LEAVE_BLOCKING)
		want_release(lane->key ^ 1);
}

/* No redirection to this socket is under way, and none will begin once nothing is unread: its peer sees `leave` or
 * MODE_PASS. */
static __always_inline bool peer_is_quiet(struct lane *lane)
{
	struct sock *peer = (void *)lane->peer.tcp_sock;
	struct sk_psock *psock;
	__u64 left_at_ns;
	__u32 quiet;

	if (!peer || !is_still(lane, peer) || READ(peer, __sk_common.skc_state) == BPF_TCP_CLOSE)
		return true;
	psock = psock_of(peer);
	if (psock && !sends_under_way(psock))
		return true;
	if (bpf_probe_read_kernel(&quiet, sizeof(quiet), (void *)lane->peer.lane + offsetof(struct lane, quiet)) ||
	    bpf_probe_read_kernel(&left_at_ns, sizeof(left_at_ns), (void *)lane->peer.lane + offsetof(struct lane, left_at_ns)))
		return false;
	/* A peer that left may have been in a sendmsg that outlived its place in the sockhash, but not by seconds. */
	return quiet == QUIET || (left_at_ns && bpf_ktime_get_ns() - left_at_ns > LEFT_SETTLES_NS);
}

/* Quiet first: a peer that begins a send after that sees that nothing is unread, and passes. And unless this socket sends
 * no more, its peer must have read what it has redirected: its sends are plain TCP from here on (edges.h). */
static __always_inline bool may_leave(struct lane *lane, struct sock *sk, bool sends_no_more)
{
	struct sock *peer = (void *)lane->peer.tcp_sock;

	if (!peer_is_quiet(lane) || unread_bytes(sk))
		return false;
	return sends_no_more || !peer || !is_still(lane, peer) || !unread_bytes(peer);
}

/* So that status can count it, and a scan adopt it again. */
static __always_inline void note_left(struct lane *lane, struct sock *sk)
{
	struct tcp_sock *tp = (void *)sk;
	struct departure note = { .why = lane->notice.leave };
	__u64 cookie;

	if (!note.why)
		return; /* a stop */
	note.data_segs_out = READ(tp, data_segs_out);
	note.bytes_sent = READ(tp, bytes_sent);
	cookie = READ(sk, __sk_common.skc_cookie.counter);
	bpf_map_update_elem(&departures, &cookie, &note, BPF_ANY);
	count_left(note.why);
	has_been(lane, note.why);
	if (turned_blocking(lane))
		has_shown(lane, WORTH_BLOCKING);
	trace_lane(sk, lane, lane->handed_over ? TRACE_HANDED_OVER : TRACE_LEFT, note.why);
}

/* From a callback of the socket's own. False when it could not: close(2) has taken it out. */
static __always_inline bool leave(struct lane *lane, struct sock *sk)
{
	__u64 key = lane->key;

	lane->left_at_ns = bpf_ktime_get_ns();
	if (bpf_map_delete_elem(&sockets, &key))
		return false;
	note_left(lane, sk);
	return true;
}
