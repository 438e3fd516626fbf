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

char _license[] SEC("license") = "Dual BSD/GPL";

static __always_inline void count_left(enum leave why)
{
	switch (why) {
	case LEAVE_UNPAIRED:
		count(left_unpaired, 1);
		break;
	case LEAVE_BULK:
		count(left_bulk, 1);
		break;
	case LEAVE_BLOCKING:
		count(left_blocking, 1);
		break;
	case LEAVE_HALF_CLOSED:
		count(left_half_closed, 1);
		break;
	default:
		count(left_with_peer, 1);
	}
}

static __always_inline void leave_if_possible(struct bpf_sock_ops *ops, struct link *link, struct sock *sk)
{
	if (link->left_at_ns || !may_leave(link, sk))
		return;
	if (leave(link))
		return; /* close(2) has taken it out */
	bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags &
					       ~(BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RTT_CB_FLAG));
	count_left(link->leave);
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
	if (link->leave)
		leave_if_possible(ops, link, tp);
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
		leave_if_possible(ops, link, tp);
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

#define pass_leaving()                    \
	({                                \
		note_if_quiet(link, own); \
		pass(leaving);            \
	})

SEC("sk_msg")
int redirect(struct sk_msg_md *msg)
{
	struct bpf_sock *sk = msg->sk;
	struct sock *own, *peer;
	struct control *now;
	struct link *link;
	__u32 zero = 0;

	if (!sk)
		return SK_PASS;
	link = bpf_sk_storage_get(&links, sk, 0, 0);
	own = (void *)bpf_skc_to_tcp_sock(sk);
	now = bpf_map_lookup_elem(&control, &zero);
	if (!link || !own || !now)
		return SK_PASS;
	if (now->mode != MODE_REDIRECT)
		pass(stopping);
	if (!paired(link))
		pass(unpaired);
	if (link->leave)
		pass_leaving();
	if (peer_wants_to_leave(link)) {
		want_to_leave(link, LEAVE_WITH_PEER);
		pass_leaving();
	}

	peer = socket_at(link->peer.tcp_sock);
	if (field(peer, __sk_common.skc_state) != BPF_TCP_ESTABLISHED)
		pass(closing);
	if (!all_sockets && !nonblocking(own)) {
		want_to_leave(link, LEAVE_BLOCKING);
		pass(blocking);
	}
	if (!all_sockets && !nonblocking(peer))
		pass(blocking);
	if (has_ulp(own) || has_ulp(peer))
		pass(protocol);
	if (field(peer, sk_rcvlowat) > 1)
		pass(lowat);
	if (is_bulk(link, msg->size)) {
		want_to_leave(link, LEAVE_BULK);
		pass_leaving();
	}
	if (tcp_bytes_are_unread(link, (void *)own, (void *)peer))
		pass(unread);
	if (reader_is_full(peer))
		pass(full);
	if (bpf_msg_redirect_hash(msg, &sockets, &link->peer.key, BPF_F_INGRESS) != SK_PASS)
		pass(peer_left);
	count_redirected(msg->size);
	return SK_PASS;
}

/* One step of a stop, MODE_PASS being set: run over all sockets until none is left or time is up. */
SEC("iter/bpf_sk_storage_map")
int drain(struct bpf_iter__bpf_sk_storage_map *at)
{
	struct link *link = at->value;
	struct sock *sk = at->sk;
	struct sk_psock *psock;

	if (!sk || !link || link->left_at_ns)
		return 0;
	psock = psock_of(sk);
	if (psock && references(psock) == 1 && may_leave(link, sk))
		leave(link);
	return 0;
}
