/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Leaving the sockhash without losing a byte. A socket's unread redirected bytes are thrown away with its psock, and a
 * peer that is just about to redirect to it gets EPIPE (tcp_bpf_sendmsg_redir()). So a socket first says that it wants
 * to leave, which its peer reads on every send; and goes later, from a callback of its own, when nothing is unread and
 * its peer is seen outside of sendmsg. */
#pragma once

#include "callbacks.h"
#include "control.h"
#include "count.h"
#include "edges.h"
#include "flow.h"
#include "lane.h"
#include "learnt.h"
#include "socket.h"
#include "trace.h"

#define LEFT_SETTLES_NS 1000000000ull
#define DEPARTURES_MAX 8192

/* By cookie, for those that might come back: adopt.h. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, DEPARTURES_MAX);
	__type(key, __u64);
	__type(value, struct departure);
} departures SEC(".maps");

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

/* Before it leaves without a callback of its own. */
static __always_inline void leave_by_release(struct lane *lane)
{
	if (lane->asked)
		return;
	lane->asked = 1;
	want_release(lane->key);
}

/* @sk: the lane's socket, NULL where it is not known */
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

#define SOCKMAPS_MAX 4

/* How many sends of a socket are under way. Each sockmap that it is in holds a reference to its psock, ours one of them;
 * tcp_bpf_sendmsg() holds another from before the verdict until after the message is in the peer's queue. */
static __noinline int sends_under_way(struct sk_psock *psock)
{
	int references = READ(psock, refcnt.refs.counter);
	struct list_head *head = __builtin_preserve_access_index(&psock->link);
	struct list_head *at = READ(head, next);

	for (int i = 0; i < SOCKMAPS_MAX && at && at != head; i++) {
		references--;
		at = READ(at, next);
	}
	return references;
}

/* The same from a verdict. Not static: the verifier looks at it once. */
__noinline int sends_of(__u64 psock)
{
	return sends_under_way((void *)psock);
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

static __always_inline bool peer_has_left(struct lane *lane)
{
	struct sock *peer = (void *)lane->peer.tcp_sock;
	__u64 left_at_ns = 0;

	if (!peer || !is_still(lane, peer))
		return false;
	bpf_probe_read_kernel(&left_at_ns, sizeof(left_at_ns),
			      (void *)lane->peer.lane + offsetof(struct lane, left_at_ns));
	return left_at_ns != 0;
}

/* What becomes of a key in a release. Programs of user space's may not take sockets out of a sockhash everywhere (Linux 7.3 forbids
 * it to all but a few types, may_update_sockmap()), so a release only finds those that can go, and user space deletes them
 * by the system call. Nothing may change in between: */
enum release_result {
	SWEPT, /* nothing is left to do */
	RELEASE_LATER,
	RELEASE_DELETE, /* it can go, and that stays so */
};

/* The peer's lane, when it is the one that was paired and still in the sockhash. */
static __always_inline struct lane *lane_of_peer(const struct lane *lane, struct bpf_sock *peer)
{
	struct lane *found = bpf_sk_storage_get(&lanes, peer, 0, 0);

	return found && (__u64)found == lane->peer.lane ? found : NULL;
}

/* Its peer redirects no more from now on, whatever is unread. One message may be under way: the next release sees it, by the
 * references to the peer's psock. Returns whether that was so before. */
static __always_inline bool silence_peer(struct lane *lane, struct sock *sk)
{
	__u64 peer_key = lane->peer.key;
	bool was_silent = true;
	struct lane *peer_lane;
	struct bpf_sock *peer;

	if (!peer_key)
		return true;
	peer = bpf_map_lookup_elem(&sockets, &peer_key);
	if (!peer)
		return true;
	peer_lane = lane_of_peer(lane, peer);
	if (peer_lane && !peer_lane->quiet) {
		was_silent = false;
		/* Not before: its reader would take a short read for the last (edges.h). */
		if (!unread_bytes(sk))
			peer_lane->quiet = SILENT;
	}
	bpf_sk_release(peer);
	return was_silent;
}

static __always_inline enum release_result release_socket(struct lane *lane, struct sock *sk)
{
	bool sends_no_more = !may_send(socket_at(sk));
	struct sk_psock *psock = psock_of(sk);
	struct control *now = current_control();

	if (!lane->notice.leave && sends_no_more)
		lane->notice.leave = READ(sk, __sk_common.skc_state) == BPF_TCP_CLOSE ? LEAVE_CLOSED : LEAVE_HALF_CLOSED;
	if (!lane->notice.leave && peer_notice(lane).leave) {
		lane->notice.leave = LEAVE_WITH_PEER;
		return RELEASE_LATER; /* when every CPU has seen it */
	}
	/* It has come back meanwhile, and stays; or an mda that was stopping was killed between its peer and it. */
	if (!lane->notice.leave && now && now->mode == MODE_REDIRECT && !peer_has_left(lane))
		return SWEPT;
	/* A send of its own that is under way may redirect; one that begins while its peer has nothing unread passes. */
	if (!psock || sends_under_way(psock) || !may_leave(lane, sk, sends_no_more))
		return RELEASE_LATER;
	if (!silence_peer(lane, sk))
		return RELEASE_LATER;
	/* Once more, now that nobody redirects: before, the reader may have read while its peer was about to send, since this is not
	 * under its lock. */
	if (!lane->quiet) {
		lane->quiet = SILENT;
		return RELEASE_LATER;
	}
	lane->quiet = QUIET;
	note_left(lane, sk);
	/* In a stop nobody has said it. Who takes over from a stop that was killed here redirects again, but not to this one. */
	if (!lane->notice.leave)
		lane->notice.leave = LEAVE_WITH_PEER;
	lane->left_at_ns = bpf_ktime_get_ns();
	return RELEASE_DELETE;
}

/* Nothing is redirected by it or to it. */
static __always_inline enum release_result release_half_adopted(struct sock *sk)
{
	struct sk_psock *psock = psock_of(sk);

	return psock && !sends_under_way(psock) && !unread_bytes(sk) ? RELEASE_DELETE : RELEASE_LATER;
}

/* From outside of the socket's callbacks, when it wants to leave or all pass. */
__noinline int release_key(__u64 key)
{
	struct bpf_sock *sk = bpf_map_lookup_elem(&sockets, &key);
	enum release_result result = RELEASE_LATER;
	struct lane *lane;
	struct sock *tp;

	if (!sk)
		return SWEPT;
	lane = bpf_sk_storage_get(&lanes, sk, 0, 0);
	tp = (void *)bpf_skc_to_tcp_sock(sk);
	if (tp)
		result = is_half_adopted(lane) ? release_half_adopted(tp) : release_socket(lane, tp);
	bpf_sk_release(sk);
	return result;
}

/* Not inlined: BTF, and so TypeScript, knows structs that functions take. */
static __noinline int release_all(struct release *release)
{
	for (int i = 0; i < RELEASE_KEYS; i++) {
		int result = release->keys[i] ? release_key(release->keys[i]) : RELEASE_LATER;

		if (result == SWEPT)
			release->keys[i] = 0;
		if (result == RELEASE_DELETE)
			release->ready |= 1ull << i;
	}
	return 0;
}
