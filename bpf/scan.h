/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Scans: an iterator over all descriptors writes a struct scanned for each TCP socket of the cgroup, with what tells its connection and
 * its program, and for each MPTCP listener: what that accepts may be plain TCP, and stays outside all the same (exclusion.h). User space
 * decides what becomes of the sockets: it adopts them (adopt.h), or releases those that are closed or stuck (release.h). */
#pragma once

#include "cast.h"
#include "cgroup.h"
#include "connection.h"
#include "control.h"
#include "departures.h"
#include "executable.h"
#include "flow.h"
#include "habits.h"
#include "learning.h"
#include "listening.h"
#include "memory.h"
#include "reasons.h"
#include "seqs.h"
#include "socket.h"
#include "task.h"
#include "unknown_programs.h"
#include "waiters.h"

/* So many segments tell small messages from bulk. */
#define RECENT_SEGMENTS_MIN 8

enum scanned_kind {
	SCANNED_LISTENER,
	SCANNED_CONNECTED, /* and not in any sockmap */
	SCANNED_MEMBER, /* connected, in a sockmap; found only on request, in blocking mode or stuck */
	SCANNED_MPTCP_LISTENER, /* what it accepts may be plain TCP */
	SCANNED_CLOSED, /* in a sockmap, shut down, reset or timed out, and not yet closed by its program */
};

/* A TCP socket of the cgroup, as a scan of all descriptors finds it. */
struct scanned {
	__u64 sock; /* kernel address: a socket may have several descriptors */
	__u64 cookie; /* 0: it has none yet */
	__u64 net; /* kernel address of its network namespace */
	__u32 pid; /* in the PID namespace of who scans */
	__u32 fd;
	enum scanned_kind kind;
	/* The two ends' initial sequence numbers, see are_ends() in adopt.h. */
	__u32 own_seq;
	__u32 peer_seq;
	struct owner owner;
	struct endpoint local;
	struct endpoint remote;
	struct executable executable;
	enum habit habit;
	enum leave left; /* STAY: it was never in the sockhash */
	__u32 recent_segments;
	__u32 recent_bytes;
	__u32 mss;
	__u32 blocking; /* of a member, now */
	__u32 stuck; /* its program waits until it can send, while nothing is on its way that could end that */
	__u32 pad;
	__u64 unread_bytes; /* redirected to a member */
};

/* What the socket has sent since the last scans that saw enough to tell small messages from bulk. */
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
