/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sockets that were reset, or have timed out, while their programs have them open still. TCP tells the error once. From inside of the
 * sockhash each send would tell it again, and a send of 0 bytes would succeed: tcp_bpf_sendmsg() looks at sk_err and leaves it
 * there. So such a socket is released, once what was redirected to it has been read: by its state callback; where it has none by
 * user space, which the tracepoint tcp_receive_reset wakes. */
#pragma once

#include "callbacks.h"
#include "events.h"
#include "leave.h"

static __always_inline void ask_for_closed(struct lane *lane)
{
	if (!lane->notice.leave)
		lane->notice.leave = LEAVE_CLOSED;
	leave_by_release(lane);
}

/* From the callback. */
static __always_inline void has_closed(struct lane *lane, struct sock *sk)
{
	if (!psock_of(sk))
		return; /* close(2) has taken it out */
	if (may_leave(lane, sk, true))
		leave(lane, sk);
	else
		ask_for_closed(lane);
}

/* From the tracepoint: it will have closed when user space looks. */
static __noinline int is_reset(struct sock *sk)
{
	struct event event = { .kind = EVENT_RESET };
	struct lane *lane;

	if (!sk || has_callback(socket_at(sk), BPF_SOCK_OPS_STATE_CB_FLAG))
		return 0;
	lane = bpf_sk_storage_get(&lanes, sk, 0, 0);
	if (!lane || lane->left_at_ns)
		return 0;
	ask_for_closed(lane);
	event.cookie = lane->key;
	report(&event);
	return 1;
}
