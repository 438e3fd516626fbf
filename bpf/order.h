/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The order rule: a reader takes the redirected queue before TCP's own (tcp_bpf_recvmsg(), net/ipv4/tcp_bpf.c), so no
 * byte may be redirected while a byte of the same direction is on its way through TCP or unread in TCP's queue. The
 * other way is free: a message may leave redirection for TCP at any time. */
#pragma once

static __always_inline bool tcp_bytes_are_unread(struct link *link, struct tcp_sock *own, struct tcp_sock *peer)
{
	__u32 write_seq = field(own, write_seq);

	/* The flag as well as the position: 4 GiB through TCP bring the same position again. */
	if (!link->on_tcp && link->tcp_bytes_end == write_seq)
		return false;
	if (field(own, snd_una) != write_seq || field(peer, copied_seq) != write_seq)
		return true;
	link->tcp_bytes_end = write_seq;
	link->on_tcp = 0;
	return false;
}
