/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What an operator is shown of connections: every TCP socket that has a descriptor, and what the data plane has of those that have
 * entered. User space puts the two together, by their cookies. Nothing is changed by a look. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "control.h"
#include "edges.h"
#include "executable.h"
#include "flow.h"
#include "kernel.h"
#include "habits.h"
#include "lane.h"
#include "scan.h"
#include "seqs.h"
#include "socket.h"

/* A TCP socket that has a descriptor, as an operator looks at it. One that several have comes several times. */
struct listed_socket {
	__u64 sock; /* kernel address */
	__u64 cookie; /* 0: it has none yet */
	__u32 netns; /* the inode of its network namespace */
	__u32 pid; /* in the PID namespace of who looks */
	__u32 fd;
	/* The two ends' initial sequence numbers, see adopt.h. */
	__u32 own_seq;
	__u32 peer_seq;
	struct owner owner;
	struct endpoint local;
	struct endpoint remote;
	struct executable executable;
	enum habit habit;
	__u32 tcp_unread; /* bytes in TCP's queue */
	__u8 state; /* TCP's */
	__u8 blocking;
	__u8 protocol; /* it has a ULP, or is MPTCP's listener */
	__u8 is_kernels;
	__u8 in_cgroup;
	__u8 in_sockmap; /* of whomever */
	__u16 pad;
};

/* What the data plane has of a socket that has entered the sockhash. */
struct listed_lane {
	__u64 cookie;
	__u64 key; /* in the sockhash: of both ends but for the lowest bit, which the server's has */
	__u64 age_ns; /* since it has entered */
	__u64 left_ns; /* since it has left; 0: it is there */
	__u64 messages;
	__u64 bytes;
	__u64 passed_messages;
	__u64 passed_bytes;
	__u64 unread_bytes; /* redirected */
	__u32 idle_jiffies; /* since its last message; since long ago when there was none */
	__u32 passed_for; /* enum pass: why the last that passed did */
	enum leave leave;
	__u32 on_tcp; /* the last message passed, as only then the next one may have to (order.h) */
	__u16 paired;
	__u16 adopted; /* and not paired at its handshake */
	__u32 netns;
	struct endpoint local;
	struct endpoint remote;
	__u32 tcp_unread;
	__u32 state; /* TCP's */
};

/* Not inlined, as the next one: BTF, and so TypeScript, knows structs that functions take. */
static __noinline int write_socket(struct seq_file *seq, struct listed_socket *listed)
{
	return bpf_seq_write(seq, listed, sizeof(*listed));
}

static __noinline int write_lane(struct seq_file *seq, struct listed_lane *listed)
{
	return bpf_seq_write(seq, listed, sizeof(*listed));
}

static __always_inline void list_socket(struct bpf_iter__task_file *at, struct task_struct *task, struct file *file)
{
	struct sock *sk = sock_of(file);
	struct control *now = current_control();
	struct listed_socket listed = {};
	struct tcp_sock *tp = (void *)sk;
	struct mm_struct *mm = READ(task, mm);

	if (!sk || !now || !mm || !(is_tcp(sk) || is_mptcp_listener(sk)))
		return;
	listed.sock = (__u64)sk;
	listed.cookie = READ(sk, __sk_common.skc_cookie.counter);
	listed.netns = READ(sk, __sk_common.skc_net.net, ns.inum);
	listed.pid = visible_pid(task);
	listed.fd = at->fd;
	listed.owner = owner_of(sk);
	listed.executable = executable_of(mm);
	listed.habit = habit_of(&listed.executable);
	listed.state = READ(sk, __sk_common.skc_state);
	listed.blocking = !(READ(file, f_flags) & O_NONBLOCK);
	listed.in_cgroup = is_in_cgroup(sk, now->cgroup_id);
	local_endpoint((void *)sk, &listed.local);
	if (is_mptcp_listener(sk)) {
		listed.protocol = true;
		write_socket(at->meta->seq, &listed);
		return;
	}
	sk = socket_at(sk);
	listed.protocol = has_ulp(sk);
	listed.is_kernels = is_kernels(sk);
	listed.in_sockmap = psock_of(sk) != NULL;
	if (listed.state != BPF_TCP_LISTEN) {
		remote_endpoint((void *)sk, &listed.remote);
		listed.own_seq = own_seq(tp);
		listed.peer_seq = peer_seq(tp);
		listed.tcp_unread = READ(tp, rcv_nxt) - READ(tp, copied_seq);
	}
	write_socket(at->meta->seq, &listed);
}

static __always_inline void list_lane(struct bpf_iter__bpf_sk_storage_map *at, struct sock *sk, const struct lane *lane)
{
	__u64 now_ns = bpf_ktime_get_ns();
	struct listed_lane listed = {
		.cookie = READ(sk, __sk_common.skc_cookie.counter),
		.key = lane->key,
		.age_ns = now_ns - lane->since_ns,
		.left_ns = lane->left_at_ns ? now_ns - lane->left_at_ns : 0,
		.messages = lane->messages,
		.bytes = lane->bytes,
		.passed_messages = lane->passed_messages,
		.passed_bytes = lane->passed_bytes,
		.unread_bytes = unread_bytes(sk),
		.idle_jiffies = (__u32)bpf_jiffies64() - lane->moved,
		.passed_for = lane->passed_for,
		.leave = lane->notice.leave,
		.on_tcp = lane->on_tcp,
		.paired = lane->peer.key != 0,
		.adopted = !!(lane->account & ACCOUNT_ADOPTED),
		.netns = READ(sk, __sk_common.skc_net.net, ns.inum),
		.tcp_unread = READ((struct tcp_sock *)sk, rcv_nxt) - READ((struct tcp_sock *)sk, copied_seq),
		.state = READ(sk, __sk_common.skc_state),
	};

	local_endpoint((void *)sk, &listed.local);
	remote_endpoint((void *)sk, &listed.remote);
	write_lane(at->meta->seq, &listed);
}
