/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How many sends of a socket are under way. Each sockmap that the socket is in holds a reference to its psock, ours one of them;
 * tcp_bpf_sendmsg() holds another from before the verdict until after the message is in the peer's queue. */
#pragma once

#include <linux/types.h>
#include "cast.h"

#define SOCKMAPS_MAX 4

static __noinline int sends_under_way(struct sk_psock *psock)
{
	int references = READ(psock, refcnt.refs.counter);
	struct list_head *head = __builtin_preserve_access_index(&psock->link);
	struct list_head *at = READ(head, next);

	for (int i = 0; i < SOCKMAPS_MAX && at && at != head; i++) {
		references--;
		at = READ(at, next);
	}
	return references;
}

/* The same from a verdict. Not static: the verifier looks at it once. */
__noinline int sends_of(__u64 psock)
{
	return sends_under_way((void *)psock);
}
