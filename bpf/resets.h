/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sockets that were reset, or have timed out, while their programs have them open still. TCP tells the error once. From inside of the
 * sockhash each send would tell it again, and a send of 0 bytes would succeed: tcp_bpf_sendmsg() looks at sk_err and leaves it
 * there. So such a socket is taken out, once what was redirected to it has been read: by its state callback; where it has none by
 * user space, which the tracepoint tcp_receive_reset wakes. */
#pragma once

static __always_inline void ask_for_closed(struct link *link)
{
	if (!link->notice.leave)
		link->notice.leave = LEAVE_CLOSED;
	ask_to_be_taken_out(link);
}

/* From the callback. */
static __always_inline void has_closed(struct link *link, struct sock *sk)
{
	if (!psock_of(sk))
		return; /* close(2) has taken it out */
	if (may_leave(link, sk, true))
		leave(link, sk);
	else
		ask_for_closed(link);
}

/* From the tracepoint: it will have closed when user space looks. */
static __noinline int is_reset(struct sock *sk)
{
	struct event event = { .kind = EVENT_RESET };
	struct link *link;

	if (!sk || has_callback(socket_at(sk), BPF_SOCK_OPS_STATE_CB_FLAG))
		return 0;
	link = bpf_sk_storage_get(&links, sk, 0, 0);
	if (!link || link->left_at_ns)
		return 0;
	ask_for_closed(link);
	event.cookie = link->key;
	report(&event);
	return 1;
}
