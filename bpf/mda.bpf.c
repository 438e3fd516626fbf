/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The data plane: a sockops program follows connections and pairs their ends, an sk_msg program redirects what one end
 * sends into the other end's receive queue. docs/how-it-works.md explains it; each rule is a header of its own. */
#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/types.h>

#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "types.h"
#include "maps.h"
#include "count.h"
#include "socket.h"
#include "rules.h"
#include "flow.h"
#include "order.h"
#include "leave.h"
#include "cookies.h"
#include "pairing.h"
#include "bulk.h"
#include "waiters.h"
#include "adopt.h"
#include "edges.h"

char _license[] SEC("license") = "Dual BSD/GPL";

static __always_inline void leave_if_possible(struct bpf_sock_ops *ops, struct link *link, struct sock *sk,
					      bool sends_no_more)
{
	if (link->left_at_ns || !may_leave(link, sk, sends_no_more))
		return;
	if (!leave(link, sk))
		return;
	bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags &
					       ~(BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RTT_CB_FLAG));
}

/* Bytes that this socket had sent through TCP were acknowledged. */
static __always_inline void acknowledged(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct link *link = bpf_sk_storage_get(&links, sk, 0, 0);
	struct sock *tp = (void *)bpf_skc_to_tcp_sock(sk);

	if (!link || !tp)
		return;
	if (!paired(link))
		want_to_leave(link, LEAVE_UNPAIRED); /* the peer has long been established, and has not entered */
	if (link->notice.leave)
		leave_if_possible(ops, link, tp, ops->state >= BPF_TCP_FIN_WAIT1 && ops->state != BPF_TCP_CLOSE_WAIT);
}

static __always_inline void state_changed(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct link *link = bpf_sk_storage_get(&links, sk, 0, 0);
	struct sock *tp = (void *)bpf_skc_to_tcp_sock(sk);

	if (!link || !tp)
		return;
	paired(link); /* takes the entry out of `servers` when the client never sent */
	if (ops->args[1] != BPF_TCP_FIN_WAIT1)
		return;
	want_to_leave(link, LEAVE_HALF_CLOSED);
	if (!nonblocking(tp))
		leave_if_possible(ops, link, tp, true);
}

/* Always returns 1: 0 turns into -EPERM and drops the replies of every other sockops program on the cgroup. */
SEC("sockops")
int follow(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;

	if (ops->op == BPF_SOCK_OPS_RWND_INIT && !ops->is_fullsock)
		syn_answered(ops);
	else if (ops->op == BPF_SOCK_OPS_HDR_OPT_LEN_CB && ops->args[0] == BPF_WRITE_HDR_TCP_SYNACK_COOKIE)
		syn_answered(ops);
	else if (!sk)
		return 1;
	else if (ops->op == BPF_SOCK_OPS_RTT_CB)
		acknowledged(ops, sk);
	else if (ops->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
		client_established(ops, sk);
	else if (ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		server_established(ops, sk);
	else if (ops->op == BPF_SOCK_OPS_STATE_CB)
		state_changed(ops, sk);
	else if (ops->op == BPF_SOCK_OPS_TCP_LISTEN_CB)
		started_to_listen(ops, sk);
	return 1;
}

#define pass(why)                    \
	({                           \
		count(passed_##why, 1); \
		link->on_tcp = 1;    \
		return SK_PASS;      \
	})

SEC("sk_msg")
int redirect(struct sk_msg_md *msg)
{
	struct bpf_sock *sk = msg->sk;
	struct sock *own, *peer;
	struct control *now;
	struct notice notice;
	struct link *link;
	__u32 zero = 0;

	if (!sk)
		return SK_PASS;
	link = bpf_sk_storage_get(&links, sk, 0, 0);
	own = (void *)bpf_skc_to_tcp_sock(sk);
	now = bpf_map_lookup_elem(&control, &zero);
	if (is_half_adopted(link) || !own || !now)
		return SK_PASS;
	if (!paired(link))
		pass(unpaired);
	peer = socket_at(link->peer.tcp_sock);
	notice = peer_notice(link);
	if (notice.leave)
		want_to_leave(link, LEAVE_WITH_PEER);
	if (!all_sockets && !nonblocking(own))
		want_to_leave(link, LEAVE_BLOCKING);
	if (is_bulk(link, &notice, msg->size))
		want_to_leave(link, LEAVE_BULK);
	if (link->notice.leave && may_switch(link, peer)) {
		note_if_quiet(link, own);
		pass(leaving);
	}
	if (now->mode != MODE_REDIRECT && may_switch(link, peer))
		pass(stopping);
	if (field(peer, __sk_common.skc_state) != BPF_TCP_ESTABLISHED && may_switch(link, peer))
		pass(closing);
	if (!all_sockets && !nonblocking(peer))
		pass(blocking);
	if (!all_sockets && (link->key & 1) && !notice.cpu)
		pass(silent_client);
	if (!is_tended(now) && may_switch(link, peer) && !is_watched_by_level(peer))
		pass(untended);
	if (has_ulp(own) || has_ulp(peer))
		pass(protocol);
	if (field(peer, sk_rcvlowat) > 1)
		pass(lowat);
	if (tcp_bytes_are_unread(link, (void *)own, (void *)peer))
		pass(unread);
	if (reader_is_full(link, peer)) {
		note_behind(link->peer.cookie);
		pass(full);
	}
	if (bpf_msg_redirect_hash(msg, &sockets, &link->peer.key, BPF_F_INGRESS) != SK_PASS)
		pass(peer_left);
	count_redirected(msg->size);
	return SK_PASS;
}

/* Looks where the readers in `readers` are. */
SEC("iter/task_file")
int find_readers(struct bpf_iter__task_file *at)
{
	struct task_struct *task = at->task;
	struct file *file = at->file;

	if (task && file)
		find_if_wanted(task, file, at->fd);
	return 0;
}

/* Writes a struct stranger for each descriptor of a TCP socket of the cgroup. */
SEC("iter/task_file")
int find_strangers(struct bpf_iter__task_file *at)
{
	struct task_struct *task = at->task;
	struct file *file = at->file;

	if (task && file)
		find_if_stranger(at, task, file);
	return 0;
}

/* User space runs these on packets of its own, with BPF_PROG_TEST_RUN: no kernel refuses that to who may load programs,
 * while some refuse iterators over maps. */
#define packet_of(type, packet)                                                   \
	({                                                                        \
		struct type *whole = (void *)(long)(packet)->data;                \
		(void *)(whole + 1) <= (void *)(long)(packet)->data_end ? whole : NULL; \
	})

/* What the rules say of a connection. */
SEC("tc")
int judge(struct __sk_buff *packet)
{
	struct adoption *adoption = packet_of(adoption, packet);

	return adoption ? judge_connection(adoption) : 0;
}

/* Pairs two ends that are in the sockhash; returns 1, or 0 when they are not the ends of one connection. */
SEC("tc")
int join(struct __sk_buff *packet)
{
	struct adoption *adoption = packet_of(adoption, packet);

	return adoption ? join_ends(adoption) : 0;
}

/* Makes a connection leave. */
SEC("tc")
int dismiss(struct __sk_buff *packet)
{
	struct adoption *adoption = packet_of(adoption, packet);

	return adoption ? dismiss_client(adoption) : 0;
}

/* Takes those sockets out of the sockhash that want to leave and can now; with MODE_PASS set, all that can. */
SEC("tc")
int drain(struct __sk_buff *packet)
{
	struct sweep *sweep = packet_of(sweep, packet);

	return sweep ? take_out_all(sweep) : 0;
}

/* Says that a process looks after readers for the next tended_jiffies. */
SEC("tc")
int tend(struct __sk_buff *packet)
{
	__u32 zero = 0;
	struct control *now = bpf_map_lookup_elem(&control, &zero);

	if (packet->len && now)
		now->tended_until = bpf_jiffies64() + tended_jiffies;
	return 0;
}
