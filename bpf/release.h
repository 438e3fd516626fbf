/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Leaving from outside of a socket's callbacks: a program that user space runs finds out whether the socket can go, and user space
 * deletes it. It is so for sockets that have no callback to leave by, and on a stop. Programs that user space runs may not take
 * sockets out of a sockhash everywhere: Linux 7.3 forbids it to all but a few types (may_update_sockmap()). So nothing may change
 * between what is found and the system call that deletes: both ends are silenced first, and looked at again. */
#pragma once

#include "control.h"
#include "flow.h"
#include "lane.h"
#include "leave.h"
#include "sends.h"
#include "socket.h"

#define RELEASE_KEYS 64

/* A packet for a program that looks at sockets of the sockhash, one after the other. */
struct release {
	__u8 header[16]; /* what the kernel takes for Ethernet's */
	__u64 keys[RELEASE_KEYS]; /* 0: none. Comes back with 0 where nothing is left to do */
	__u64 ready; /* bit i: keys[i] can be deleted from the sockhash now, which is for user space to do */
};

/* What becomes of a key in a release. */
enum release_result {
	RELEASE_NOTHING, /* nothing is left to do */
	RELEASE_LATER,
	RELEASE_DELETE, /* it can go, and that stays so */
};

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

/* The peer's lane, when it is the one that was paired and still in the sockhash. */
static __always_inline struct lane *lane_of_peer(const struct lane *lane, struct bpf_sock *peer)
{
	struct lane *found = bpf_sk_storage_get(&lanes, peer, 0, 0);

	return found && (__u64)found == lane->peer.lane ? found : NULL;
}

/* The peer redirects no more from now on, whatever is unread. One message may be under way: the next release sees it, by the
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
		return RELEASE_NOTHING;
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

/* Of a socket that was put into the sockhash and never joined: nothing is redirected by it or to it. */
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
		return RELEASE_NOTHING;
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

		if (result == RELEASE_NOTHING)
			release->keys[i] = 0;
		if (result == RELEASE_DELETE)
			release->ready |= 1ull << i;
	}
	return 0;
}
