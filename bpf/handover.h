/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is done when a program begins to take bytes beside the redirected queue (habits.h) while there are some in it. It
 * will never ask for them, and what passes to TCP now it would take before them. So its peer's messages are redirected still
 * while something is in the queue, whatever the reader's buffer, and user space
 *
 *   peeks at the queue           through a descriptor of the reader
 *   sends the same bytes again   through one of its peer, which passes to TCP
 *   takes them out of the queue  which nobody else reads
 *
 * until it is empty: then the peer's messages pass, behind what was sent again. Without a process of ours nobody can help,
 * and the peer is told (EACCES) rather than left to wait; as when more comes than could be moved. */
#pragma once

#include "bypassed.h"
#include "control.h"
#include "flow.h"
#include "habits.h"
#include "lane.h"
#include "verdict.h"

#define HANDOVER_BYTES_MAX (64 << 20)

static __always_inline bool bypasses_queue(__u32 habit)
{
	return habit == HABIT_SPLICES || habit == HABIT_MAPS;
}

/* @has_handed_over: all that was in the queue is sent again already; comes back as true when this message is the last of that */
static __noinline int hand_over(__u64 reader, __u64 cookie, bool quiet, const struct control *now, bool *has_handed_over)
{
	bool is_mda = now->heartbeat_from == bpf_get_current_pid_tgid() >> 32;
	struct sock *peer = socket_at(reader);
	__s64 unread = unread_bytes(peer);
	__u32 *sent;

	if (!is_mda && *has_handed_over)
		return HANDOVER_PASS;
	if (!is_mda && (quiet || !unread))
		return HANDOVER_NONE;
	if (!is_mda && !has_heartbeat(now))
		return HANDOVER_REFUSE;
	if (!is_mda)
		return unread < HANDOVER_BYTES_MAX || unread == FAR_BEHIND ? HANDOVER_REDIRECT : HANDOVER_REFUSE;
	sent = bpf_map_lookup_elem(&bypassed, &cookie);
	/* The reader has taken some of it after all. */
	if (!sent || unread < *sent)
		return HANDOVER_REFUSE;
	*has_handed_over = unread == *sent;
	return HANDOVER_PASS;
}
