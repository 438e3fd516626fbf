/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Order: a reader takes the redirected queue before TCP's own (tcp_bpf_recvmsg(), net/ipv4/tcp_bpf.c), so no
 * byte may be redirected while a byte of the same direction is on its way through TCP or unread in TCP's queue. The
 * other way is free: a message may leave redirection for TCP at any time.
 *
 * What has been read need not be acknowledged. An acknowledgement is put off (by 40 ms or more, TCP_ATO_MIN) for an answer to
 * carry it, and a redirected answer carries none: a sender that waited for it would pass its next message to TCP, where it
 * is held back as long (tcp_nagle_check()). */
#pragma once

#include "lane.h"
#include "socket.h"

#define ICSK_ACK_SCHED 1
#define TCP_NAGLE_OFF 1

/* TCP_NODELAY */
static __always_inline bool holds_nothing_back(struct sock *sk)
{
	struct tcp_sock *tp = (void *)sk;
	__u8 nagle = casts_addresses ? BPF_CORE_READ_BITFIELD(tp, nonagle) : BPF_CORE_READ_BITFIELD_PROBED(tp, nonagle);

	return nagle & TCP_NAGLE_OFF;
}

/* An acknowledgement of the peer's bytes was put off, while the peer's messages go to TCP: its next one may be held back until
 * that comes. So this message carries it, which is one of TCP's own; the peer need not do the same for it. */
static __always_inline bool peer_waits_for_acknowledgement(const struct notice *notice, struct sock *own, struct sock *peer)
{
	struct inet_connection_sock *icsk = (void *)own;

	return notice->passes && field(icsk, icsk_ack.pending) & ICSK_ACK_SCHED && !holds_nothing_back(peer);
}

/* Bytes of this direction are on their way through TCP, or in the queue of its reader. The flag as well as the position: 4 GiB through
 * TCP bring the same position again. */
static __always_inline bool has_used_tcp(const struct lane *lane, __u32 write_seq)
{
	return lane->on_tcp || lane->tcp_bytes_end != write_seq;
}

static __always_inline bool has_read_tcp(struct sock *peer, __u32 write_seq)
{
	struct tcp_sock *tp = (void *)peer;

	return field(tp, copied_seq) == write_seq;
}
