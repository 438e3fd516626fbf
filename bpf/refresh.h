/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A connection whose bytes are all redirected is idle to everybody who looks at packets: conntrack and IPVS forget it, keepalive
 * probes are sent, TCP_INFO stands still. What is sent after that, the end of the stream as well, arrives nowhere. So each
 * direction lets a message through TCP when TCP has carried none for refresh_jiffies; the order brings the next ones
 * back. It may cost nothing when its reader has nothing unread, and is put off for a while otherwise. */
#pragma once

#include "socket.h"

/* A second: who forgets a connection after ten of silence does so here after no less than nine. */
const volatile __u32 refresh_jiffies = 0;
/* So many times that may pass until unread bytes do not put it off any more. */
#define REFRESH_PUT_OFF 4

enum refresh {
	REFRESH_NOT_DUE,
	REFRESH_DUE, /* when the reader has nothing unread */
	REFRESH_OVERDUE,
};

/* lsndtime is when TCP has last sent data (tcp_event_data_sent()), and at the handshake. */
static __always_inline enum refresh refresh_is_due(__u32 lsndtime, __u32 jiffies)
{
	__u32 silent = jiffies - lsndtime;

	if (silent < refresh_jiffies)
		return REFRESH_NOT_DUE;
	return silent < REFRESH_PUT_OFF * refresh_jiffies ? REFRESH_DUE : REFRESH_OVERDUE;
}
