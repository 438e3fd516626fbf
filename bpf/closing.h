/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A close(2) with redirected bytes unread. TCP answers one with a reset instead of the end of the stream, so that nobody takes
 * what was cut short for whole; but tcp_close() looks at its own queue only, and sends a FIN.
 *
 *   state_changed    before the FIN is built: the psock has just been dropped, and something is in its queue
 *   the FIN          gets an option that its receiver drops it for (a TCP MD5 signature where none is expected)
 *   user space       sends a byte from the peer's end, which has no way to be read: an end that was closed answers data with
 *                    a reset (tcp_rcv_state_process()), as it would have done to the peer's next message
 *
 * Should nobody come, the FIN is sent again without the option, and the stream ends as it would have done. */
#pragma once

#include "control.h"
#include "events.h"
#include "lane.h"

#define FIN_HELD_NS 2000000000ull
#define TCPHDR_FIN 1
#define TCPOPT_MD5SIG 19
#define TCPOLEN_MD5SIG 18
#define SHUTDOWN_MASK 3

static __always_inline bool is_empty(struct list_head *head)
{
	struct list_head *first = READ(head, next);

	/* In memory that was freed the first word may be the allocator's. */
	return !first || first == head || READ(first, prev) != head;
}

/* close(2) has taken the socket out of the sockhash, as shutdown(2) does not, and something is in its psock's queue. A psock is
 * freed after an RCU grace period, which may have passed: then the queue is empty, or another's. */
static __always_inline bool was_closed_unread(const struct lane *lane, struct sock *sk)
{
	struct sk_psock *psock = (void *)lane->psock;

	if (!psock || READ(sk, sk_shutdown) != SHUTDOWN_MASK || READ(psock, sk) != sk)
		return false;
	return is_empty(__builtin_preserve_access_index(&psock->link)) &&
	       !is_empty(__builtin_preserve_access_index(&psock->ingress_msg));
}

/* From the callback that comes before the FIN is built. */
static __always_inline void hold_fin_if_unread(struct bpf_sock_ops *ops, struct lane *lane, struct sock *sk)
{
	struct event event = { .kind = EVENT_CLOSED_UNREAD };
	struct control *now = current_control();

	if (!lane->peer.cookie || !now || !has_heartbeat(now) || !was_closed_unread(lane, sk))
		return;
	event.cookie = lane->peer.cookie;
	if (report(&event))
		return;
	lane->fin_held_ns = bpf_ktime_get_ns();
	bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
}

static __always_inline bool is_fin_held(struct bpf_sock_ops *ops, const struct lane *lane)
{
	return lane && lane->fin_held_ns && (ops->state == BPF_TCP_FIN_WAIT1 || ops->state == BPF_TCP_LAST_ACK) &&
	       bpf_ktime_get_ns() - lane->fin_held_ns < FIN_HELD_NS;
}

static __noinline int make_room_for_option(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	if (!is_fin_held(ops, bpf_sk_storage_get(&lanes, sk, 0, 0)))
		return 0;
	if (ops->args[0] == BPF_WRITE_HDR_TCP_CURRENT_MSS || ops->skb_tcp_flags & TCPHDR_FIN)
		bpf_reserve_hdr_opt(ops, TCPOLEN_MD5SIG, 0);
	return 0;
}

static __noinline int write_option(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	__u8 option[TCPOLEN_MD5SIG] = { TCPOPT_MD5SIG, TCPOLEN_MD5SIG };

	if (is_fin_held(ops, bpf_sk_storage_get(&lanes, sk, 0, 0)) && ops->skb_tcp_flags & TCPHDR_FIN)
		bpf_store_hdr_opt(ops, option, sizeof(option), 0);
	return 0;
}
