/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A socket has one set of callbacks for all sockops programs of its cgroups. Who sets it without a look at what is there takes away
 * what others have asked for; so ours may be gone at any time, and what they were to do the process does then. What others have asked
 * for stays. */
#pragma once

#include "socket.h"

/* RTT_CB comes when what the socket has sent through TCP is acknowledged, STATE_CB when it closes. */
#define CALLBACKS (BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RTT_CB_FLAG)

/* Returns those that it did not have: these are to be given up again. */
static __always_inline __u32 ask_for_callbacks(struct bpf_sock_ops *ops, __u32 wanted)
{
	__u32 flags = ops->bpf_sock_ops_cb_flags;

	if ((flags & wanted) != wanted)
		bpf_sock_ops_cb_flags_set(ops, flags | wanted);
	return wanted & ~flags;
}

static __always_inline void give_up_callbacks(struct bpf_sock_ops *ops, __u32 ours)
{
	__u32 flags = ops->bpf_sock_ops_cb_flags;

	if (flags & ours)
		bpf_sock_ops_cb_flags_set(ops, flags & ~ours);
}

/* A socket that was adopted may have none. */
static __always_inline bool has_callback(struct sock *sk, __u8 callback)
{
	struct tcp_sock *tp = (void *)sk;

	return field(tp, bpf_sock_ops_cb_flags) & callback;
}

/* It can leave by one. */
static __always_inline bool has_callbacks(struct sock *sk)
{
	return has_callback(sk, BPF_SOCK_OPS_RTT_CB_FLAG);
}
