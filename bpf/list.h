/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What an operator is shown of connections: every TCP socket that has a descriptor, and what the data plane has of those that have
 * entered. User space puts the two together, by their cookies. Nothing is changed by a look. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "adopt.h"
#include "flow.h"
#include "kernel.h"
#include "lane.h"

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
		.netns = READ(sk, __sk_common.skc_net.net, ns.inum),
		.tcp_unread = READ((struct tcp_sock *)sk, rcv_nxt) - READ((struct tcp_sock *)sk, copied_seq),
		.state = READ(sk, __sk_common.skc_state),
	};

	local_endpoint((void *)sk, &listed.local);
	remote_endpoint((void *)sk, &listed.remote);
	write_lane(at->meta->seq, &listed);
}
