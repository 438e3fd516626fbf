/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Callbacks of a connection after its handshake: what its socket has sent through TCP was acknowledged, or its state has changed. A
 * lane meets its peer by them, and leaves by them; sockets outside of the sockhash are looked at for what their programs do
 * (learning.h). */
#pragma once

#include "callbacks.h"
#include "closing.h"
#include "histograms.h"
#include "lane.h"
#include "learning.h"
#include "leave.h"
#include "pairing.h"
#include "resets.h"
#include "sends.h"
#include "trace.h"
#include "worth.h"

/* From a callback. A socket that leaves is looked at as an outsider from then on. */
static __always_inline void leave_if_possible(struct bpf_sock_ops *ops, struct lane *lane, struct sock *sk,
					      bool sends_no_more)
{
	/* A send of this socket that is under way may be about to redirect, and the socket's next bytes would be TCP's before those are read;
	 * not when the send is the one that has passed because of this, or when no bytes come next. A thread in recv(2) counts as a send
	 * (tcp_bpf_recvmsg() holds a reference too), so LEAVE_BLOCKING does not look: a socket that was made blocking would never leave. */
	bool may_be_sending = !sends_no_more && lane->notice.leave != LEAVE_BLOCKING && lane->quiet != QUIET && sends_of(lane->psock);

	if (lane->left_at_ns || may_be_sending || !may_leave(lane, sk, sends_no_more))
		return;
	if (leave(lane, sk) && !observe(ops, sk, &lane->executable, lane->callbacks))
		give_up_callbacks(ops, lane->callbacks);
}

/* Bytes that this socket had sent through TCP were acknowledged. */
static __always_inline void acknowledged(struct bpf_sock_ops *ops, struct lane *lane, struct sock *sk)
{
	if (!meet_peer(lane))
		want_to_leave(lane, sk, LEAVE_UNPAIRED); /* the peer has long been established, and has not entered */
	if (lane->notice.leave)
		leave_if_possible(ops, lane, sk, ops->state >= BPF_TCP_FIN_WAIT1 && ops->state != BPF_TCP_CLOSE_WAIT);
}

/* The socket is about to be in state args[1]. */
static __always_inline void state_changed(struct bpf_sock_ops *ops, struct lane *lane, struct sock *sk)
{
	if (ops->args[1] == BPF_TCP_FIN_WAIT1 || ops->args[1] == BPF_TCP_LAST_ACK)
		hold_fin_if_unread(ops, lane, sk);
	meet_peer(lane);
	has_ended(lane);
	has_been(lane, STAY);
	if (ops->args[1] == BPF_TCP_CLOSE) {
		if (!(lane->key & 1))
			trace_lane(sk, lane, TRACE_ENDED, 0);
		has_closed(lane, sk);
		return;
	}
	if (ops->args[1] != BPF_TCP_FIN_WAIT1)
		return;
	want_to_leave(lane, sk, LEAVE_HALF_CLOSED);
	leave_if_possible(ops, lane, sk, true);
}

/* RTT_CB and STATE_CB. */
static __noinline int called_back(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct lane *lane = bpf_sk_storage_get(&lanes, sk, 0, 0);
	struct sock *own = (void *)bpf_skc_to_tcp_sock(sk);

	if (!own)
		return 0;
	if (!lane || lane->left_at_ns)
		return look_at_outsider(ops, own);
	if (ops->op == BPF_SOCK_OPS_STATE_CB)
		state_changed(ops, lane, own);
	else
		acknowledged(ops, lane, own);
	return 0;
}
