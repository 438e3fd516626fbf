/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The initial sequence numbers of a connection, which are its name here. TCP forgets them, but they can be had at any time: it
 * counts the bytes that were acknowledged (tcp_snd_una_update()) and received (tcp_rcv_nxt_update()) since. */
#pragma once

#include "cast.h"

#define READ_TRIES 4

/* The sequence number of the socket's SYN, plus 1; a client's is one less (see are_ends()). */
static __always_inline __u32 own_seq(struct tcp_sock *tp)
{
	__u32 una = READ(tp, snd_una), again;
	__u64 acked = 0;

	for (int i = 0; i < READ_TRIES; i++) {
		acked = READ(tp, bytes_acked);
		again = READ(tp, snd_una);
		if (again == una)
			break;
		una = again;
	}
	return una - (__u32)acked;
}

static __always_inline __u32 peer_seq(struct tcp_sock *tp)
{
	__u32 next = READ(tp, rcv_nxt), again;
	__u64 received = 0;

	for (int i = 0; i < READ_TRIES; i++) {
		received = READ(tp, bytes_received);
		again = READ(tp, rcv_nxt);
		if (again == next)
			break;
		next = again;
	}
	return next - (__u32)received;
}

/* Both ends of a TCP connection know the pair of initial sequence numbers, and no NAT rewrites them: 64 bits that name
 * a connection across REDIRECT, DNAT, SNAT and network namespaces. */
struct handshake {
	__u32 client_seq; /* the client's first data byte: its ISN + 1 */
	__u32 server_seq; /* the server's */
};

static __always_inline bool same_handshake(const struct handshake *one, const struct handshake *other)
{
	return one->client_seq == other->client_seq && one->server_seq == other->server_seq;
}
