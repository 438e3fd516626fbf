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
#include "architecture.h"
#include "rules.h"
#include "flow.h"
#include "order.h"
#include "refresh.h"
#include "callbacks.h"
#include "leave.h"
#include "waiters.h"
#include "habits.h"
#include "seqs.h"
#include "learning.h"
#include "resets.h"
#include "memory.h"
#include "cookies.h"
#include "pairing.h"
#include "bulk.h"
#include "adopt.h"
#include "edges.h"
#include "handover.h"
#include "closing.h"

char _license[] SEC("license") = "Dual BSD/GPL";

static __always_inline void leave_if_possible(struct bpf_sock_ops *ops, struct link *link, struct sock *sk,
					      bool sends_no_more)
{
	if (link->left_at_ns || !may_leave(link, sk, sends_no_more))
		return;
	if (leave(link, sk) && !observe(ops, sk, &link->program, link->callbacks))
		give_up_callbacks(ops, link->callbacks);
}

/* Bytes that this socket had sent through TCP were acknowledged. */
static __noinline int acknowledged(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct link *link = bpf_sk_storage_get(&links, sk, 0, 0);
	struct sock *tp = (void *)bpf_skc_to_tcp_sock(sk);

	if (!tp)
		return 0;
	if (!link || link->left_at_ns)
		return look_at_outsider(ops, tp);
	if (!paired(link))
		want_to_leave(link, tp, LEAVE_UNPAIRED); /* the peer has long been established, and has not entered */
	if (link->notice.leave)
		leave_if_possible(ops, link, tp, ops->state >= BPF_TCP_FIN_WAIT1 && ops->state != BPF_TCP_CLOSE_WAIT);
	return 0;
}

static __noinline int state_changed(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct link *link = bpf_sk_storage_get(&links, sk, 0, 0);
	struct sock *tp = (void *)bpf_skc_to_tcp_sock(sk);

	if (!tp)
		return 0;
	if (!link || link->left_at_ns)
		return look_at_outsider(ops, tp);
	if (ops->args[1] == BPF_TCP_FIN_WAIT1 || ops->args[1] == BPF_TCP_LAST_ACK)
		hold_fin_if_unread(ops, link, tp);
	paired(link); /* takes the entry out of `servers` when the client never sent */
	if (ops->args[1] == BPF_TCP_CLOSE) {
		has_closed(link, tp);
		return 0;
	}
	if (ops->args[1] != BPF_TCP_FIN_WAIT1)
		return 0;
	want_to_leave(link, tp, LEAVE_HALF_CLOSED);
	leave_if_possible(ops, link, tp, true);
	return 0;
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
	else if (ops->op == BPF_SOCK_OPS_HDR_OPT_LEN_CB)
		make_room_for_option(ops, sk);
	else if (ops->op == BPF_SOCK_OPS_WRITE_HDR_OPT_CB)
		write_option(ops, sk);
	else if (ops->op == BPF_SOCK_OPS_TCP_CONNECT_CB)
		connects(sk);
	else if (ops->op == BPF_SOCK_OPS_TCP_LISTEN_CB)
		started_to_listen(ops, sk);
	return 1;
}

/* Beside redirected bytes that are unread: a reader on edges will need one. */
#define pass_behind(why)                                          \
	({                                                        \
		if (!may_switch(link, peer))                      \
			note_behind(link->peer.cookie, BEHIND_UNTIL_READ); \
		pass(why);                                        \
	})

#define pass(why)                       \
	({                              \
		count(passed_##why, 1); \
		link->on_tcp = 1;       \
		return SK_PASS;         \
	})

/* As the one before, and as will the next ones. */
#define pass_all(why)                            \
	({                                       \
		link->notice.passes = link->on_tcp; \
		pass(why);                       \
	})

#define pass_all_behind(why)                     \
	({                                       \
		link->notice.passes = link->on_tcp; \
		pass_behind(why);                \
	})

/* Often enough for a server's end to have come. */
#define UNPAIRED_MESSAGES_MAX 16

SEC("sk_msg")
int redirect(struct sk_msg_md *msg)
{
	struct bpf_sock *sk = msg->sk;
	struct task_struct *task = current_task();
	struct sock *own, *peer;
	unsigned long flags;
	struct control *now;
	struct notice notice;
	struct link *link;
	enum habit special;
	enum refresh due;
	__u32 zero = 0;

	if (!sk)
		return SK_PASS;
	link = bpf_sk_storage_get(&links, sk, 0, 0);
	own = (void *)bpf_skc_to_tcp_sock(sk);
	now = bpf_map_lookup_elem(&control, &zero);
	if (is_half_adopted(link) || !own || !now)
		return SK_PASS;
	if (!paired(link)) {
		if (!has_callbacks(own) && ++link->burst > UNPAIRED_MESSAGES_MAX)
			want_to_leave(link, own, LEAVE_UNPAIRED);
		pass(unpaired);
	}
	peer = socket_at(link->peer.tcp_sock);
	notice = peer_notice(link);
	know_habits(link, task, now, &notice);
	flags = flags_sent_with(task);
	special = sends_specially(flags);
	if (notice.leave)
		want_to_leave(link, own, LEAVE_WITH_PEER);
	if (special)
		learn(&link->program, special);
	if (special || link->own_habit > HABIT_RECEIVES || link->peer_habit > HABIT_RECEIVES)
		want_to_leave(link, own, LEAVE_BY_HABIT);
	if (learns_first() && (link->own_habit == HABIT_UNKNOWN || link->peer_habit == HABIT_UNKNOWN))
		want_to_leave(link, own, LEAVE_UNKNOWN);
	if (!all_sockets && !nonblocking(own))
		want_to_leave(link, own, LEAVE_BLOCKING);
	if (is_bulk(link, &notice, msg->size))
		want_to_leave(link, own, LEAVE_BULK);
	if (takes_beside(link->peer_habit)) {
		switch (hand_over(link, own, peer, now)) {
		case HANDOVER_PASS:
			pass(leaving);
		case HANDOVER_REFUSE:
			return SK_DROP;
		case HANDOVER_REDIRECT:
			goto redirect;
		}
	}
	if (link->notice.leave && !has_callbacks(own))
		ask_to_be_taken_out(link);
	if (link->notice.leave && may_switch(link, peer)) {
		note_if_quiet(link, own);
		if (link->notice.leave == LEAVE_UNKNOWN)
			pass(unknown);
		pass(leaving);
	}
	if (special)
		pass_behind(special);
	if (flags & MSG_FASTOPEN)
		pass_behind(special); /* it fails with EISCONN, or is sent where tcp_bpf_push() does not know the flag */
	if (now->mode != MODE_REDIRECT && may_switch(link, peer)) {
		if (now->mode == MODE_WITHOUT_MEMORY)
			pass(memory);
		pass(stopping);
	}
	if (!may_send(own))
		pass(closing); /* it fails, with EPIPE */
	if (field(peer, __sk_common.skc_state) != BPF_TCP_ESTABLISHED && may_switch(link, peer))
		pass(closing);
	if (!all_sockets && !nonblocking(peer))
		pass_all_behind(blocking);
	if (!all_sockets && (link->key & 1) && !notice.cpu)
		pass(silent_client);
	if (!is_tended(now) && may_switch(link, peer) && !is_watched_by_level(peer))
		pass_all(untended);
	if (has_ulp(own) || has_ulp(peer)) {
		learn_protocol(link, own);
		pass_behind(protocol);
	}
	if (field(peer, sk_rcvlowat) > 1)
		pass_all_behind(lowat);
	if (has_special_option(peer) || stamps_what_it_sends(own)) {
		learn_block_io(link, peer);
		pass_all_behind(option);
	}
	if (is_paced(own) && may_switch(link, peer))
		pass_all(option);
	if (tcp_bytes_are_unread(link, (void *)own, (void *)peer))
		pass(unread);
	due = refresh_is_due((void *)own);
	if (due == REFRESH_OVERDUE)
		pass_behind(refresh);
	if (due == REFRESH_DUE && may_switch(link, peer))
		pass(refresh);
	if (peer_waits_for_acknowledgement(&notice, own, peer) && may_switch(link, peer)) {
		count(passed_acknowledging, 1);
		link->on_tcp = 1;
		link->notice.passes = 0; /* else the two could go on so for ever */
		return SK_PASS;
	}
	if (reader_is_full(link, own, peer, msg->size)) {
		note_behind(link->peer.cookie, BEHIND_UNTIL_READ);
		pass(full);
	}
	if (is_memory_to_be_looked_at(link, peer, msg->size) && memory_is_short(link, peer, msg->size)) {
		want_to_leave(link, own, LEAVE_WITHOUT_MEMORY);
		pass_behind(memory);
	}
redirect:
	if (bpf_msg_redirect_hash(msg, &sockets, &link->peer.key, BPF_F_INGRESS) != SK_PASS)
		pass(peer_left);
	if (link->notice.passes)
		link->notice.passes = 0;
	count_redirected(msg->size);
	return SK_PASS;
}

/* The hooks, see habits.h: functions of the kernel where programs may be attached to them, */
SEC("fentry/tcp_splice_read")
int sees_splice(__u64 *arguments)
{
	struct socket *socket = (void *)arguments[0];

	has_habit(READ(socket, sk), HABIT_SPLICES);
	return 0;
}

SEC("fentry/tcp_mmap")
int sees_mmap(__u64 *arguments)
{
	struct socket *socket = (void *)arguments[1];

	has_habit(READ(socket, sk), HABIT_MAPS);
	return 0;
}

SEC("fentry/tcp_ioctl")
int sees_ioctl(__u64 *arguments)
{
	if ((__u32)arguments[1] == FIONREAD)
		asks_for_unread((void *)arguments[0], -1);
	return 0;
}

/* since some kernels that way does not call the one above for FIONREAD, */
SEC("fentry/tcp_bpf_ioctl")
int sees_inq(__u64 *arguments)
{
	if ((__u32)arguments[1] == FIONREAD)
		asks_for_unread((void *)arguments[0], -1);
	return 0;
}

/* the same functions by breakpoints, */
SEC("kprobe")
int enters_splice(struct pt_regs *regs)
{
	struct socket *socket = (void *)FIRST(regs);

	has_habit(READ(socket, sk), HABIT_SPLICES);
	return 0;
}

SEC("kprobe")
int enters_mmap(struct pt_regs *regs)
{
	struct socket *socket = (void *)SECOND(regs);

	has_habit(READ(socket, sk), HABIT_MAPS);
	return 0;
}

/* tcp_ioctl() and tcp_bpf_ioctl() */
SEC("kprobe")
int enters_ioctl(struct pt_regs *regs)
{
	if ((__u32)SECOND(regs) == FIONREAD)
		asks_for_unread((void *)FIRST(regs), -1);
	return 0;
}

/* else the system calls that lead there, one by one, */
SEC("tracepoint")
int sees_system_call(struct system_call_entry *entry)
{
	called(entry->call, entry->arguments[0], entry->arguments[1], entry->arguments[2]);
	return 0;
}

/* else all of them. */
SEC("tp_btf/sys_enter")
int sees_system_calls(__u64 *arguments)
{
	struct pt_regs *regs = (void *)arguments[0];
	__u64 call = arguments[1];

	if (call != SYSTEM_CALL(SPLICE) && call != SYSTEM_CALL(GETSOCKOPT) && call != SYSTEM_CALL(IOCTL))
		return 0;
	called(call, FIRST(regs), SECOND(regs), THIRD(regs));
	return 0;
}

/* A socket is about to be reset by its peer. One that has callbacks leaves by them. */
SEC("tp_btf/tcp_receive_reset")
int sees_reset(__u64 *arguments)
{
	struct sock *sk = (void *)arguments[0];

	is_reset(sk);
	return 0;
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

/* Finds the sockets in the sockhash that want to leave and can now; with MODE_PASS set, all that can. */
SEC("tc")
int drain(struct __sk_buff *packet)
{
	struct sweep *sweep = packet_of(sweep, packet);

	return sweep ? sweep_all(sweep) : 0;
}

/* Says whether a program has splice(2) in its code. */
SEC("tc")
int check(struct __sk_buff *packet)
{
	struct found_in_code *found = packet_of(found_in_code, packet);

	return found ? note_code(found) : 0;
}

/* Says whether TCP has no memory any more. */
SEC("tc")
int measure(struct __sk_buff *packet)
{
	return packet->len && tcp_memory_is_used_up();
}

/* Says that a process looks after readers for the next tended_jiffies. */
SEC("tc")
int tend(struct __sk_buff *packet)
{
	__u32 zero = 0;
	struct control *now = bpf_map_lookup_elem(&control, &zero);

	if (!packet->len || !now)
		return 0;
	now->tender = READ(current_task(), tgid);
	now->tended_until = bpf_jiffies64() + tended_jiffies;
	return 0;
}
