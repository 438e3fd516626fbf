/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is so when a message is sent, as far as it matters to the verdict. All of this only reads. */
#pragma once

#include "bulk.h"
#include "callbacks.h"
#include "control.h"
#include "flow.h"
#include "habits.h"
#include "handover.h"
#include "lane.h"
#include "memory.h"
#include "options.h"
#include "order.h"
#include "pairing.h"
#include "refresh.h"
#include "sender.h"
#include "sends.h"
#include "socket.h"
#include "task.h"
#include "unknown_programs.h"
#include "verdict.h"
#include "waiters.h"

/* Often enough for a server's end to have come. */
#define UNPAIRED_MESSAGES_MAX 16
/* What can wait this part of a second to be noticed: that it has chosen a congestion control that paces. */
#define UNTIL_SHARE 8

/* What a full reader gets at most, while a message that passes would overtake another thread's. */
#define OVERFULL_BYTES (8 << 20)
#define OVERFULL_MESSAGES 4096

static __always_inline __u32 wishes_of(const struct found *found, struct sock *own)
{
	__u32 wishes = 0;

	if (found->notice.leave)
		wishes |= SET_OF(LEAVE_WITH_PEER);
	if (found->special_habit || found->own_habit > HABIT_RECEIVES || found->peer_habit > HABIT_RECEIVES)
		wishes |= SET_OF(LEAVE_BY_HABIT);
	else if (learns_first() && (found->own_habit == HABIT_UNKNOWN || found->peer_habit == HABIT_UNKNOWN))
		wishes |= SET_OF(LEAVE_UNKNOWN);
	if (!all_sockets && !nonblocking(own))
		wishes |= SET_OF(LEAVE_BLOCKING);
	if (found->mean_bytes >= BULK_BYTES)
		wishes |= SET_OF(LEAVE_BULK);
	return wishes;
}

/* What redirected bytes do not have and an end needs. */
static __always_inline __u32 needs_of(const struct lane *lane, __u16 peer_cpu, struct sock *own, struct sock *peer)
{
	__u32 holds = 0;

	if (!all_sockets && !nonblocking(peer))
		holds |= SET_OF(PASSED_BLOCKING);
	if (!all_sockets && lane->key & 1 && !peer_cpu)
		holds |= SET_OF(PASSED_SILENT_CLIENT);
	if (has_ulp(own) || has_ulp(peer))
		holds |= SET_OF(PASSED_PROTOCOL);
	if (field(peer, sk_rcvlowat) > 1)
		holds |= SET_OF(PASSED_LOWAT);
	if (has_special_option(peer) || stamps_what_it_sends(own))
		holds |= SET_OF(PASSED_OPTION);
	if (is_paced(own))
		holds |= SET_OF(PASSED_PACED);
	return holds;
}

/* What another thread sends on this socket may be on its way to the reader. (Or it receives just now.) */
static __always_inline bool has_company(const struct found *found, const struct lane *lane)
{
	return !found->is_alone && lane->messages != lane->messages_alone;
}

/* Where the reader is with what it has been sent. */
static __always_inline void gather_flow(struct facts *facts, struct found *found, const struct lane *lane, struct sock *own,
					struct sock *peer, __u32 size, __u32 jiffies)
{
	__s64 bytes = bytes_charged_to(peer);

	found->burst = bytes ? lane->burst + 1 : 0;
	found->memory_seen = lane->memory_seen;
	found->room = room_beside_tcp(peer);
	if (reader_is_full(own, peer, found->peer_can_splice, bytes, size, found->room, &found->burst)) {
		facts->holds |= SET_OF(PASSED_FULL);
	} else if (memory_is_short(&found->memory_seen, found->peer.tcp_sock, size, jiffies)) {
		facts->holds |= SET_OF(PASSED_MEMORY);
		facts->presses |= SET_OF(PASSED_MEMORY);
		facts->wishes |= SET_OF(LEAVE_WITHOUT_MEMORY);
	}
}

/* How far TCP is with this direction, and what else it would carry a message for. */
static __always_inline void gather_tcp(struct facts *facts, struct found *found, const struct lane *lane, struct sock *own,
				       struct sock *peer, __u64 jiffies)
{
	struct tcp_sock *tp = (void *)own;
	__u32 lsndtime = field(tp, lsndtime);
	enum refresh due = refresh_is_due(lsndtime, jiffies);
	__u32 left = due == REFRESH_NOT_DUE ? lsndtime + refresh_jiffies - (__u32)jiffies : 0;

	found->write_seq = field(tp, write_seq);
	found->has_read_tcp = !has_used_tcp(lane, found->write_seq) || has_read_tcp(peer, found->write_seq);
	if (!found->has_read_tcp)
		facts->holds |= SET_OF(PASSED_UNREAD);
	if (due != REFRESH_NOT_DUE)
		facts->holds |= SET_OF(PASSED_REFRESH);
	if (due == REFRESH_OVERDUE)
		facts->presses |= SET_OF(PASSED_REFRESH);
	if (peer_waits_for_acknowledgement(&found->notice, own, peer))
		facts->holds |= SET_OF(PASSED_ACKNOWLEDGING);
	found->until = jiffies + (left < refresh_jiffies / UNTIL_SHARE ? left : refresh_jiffies / UNTIL_SHARE);
}

/* A peer that is not known yet. */
static __always_inline void gather_unpaired(struct facts *facts, const struct lane *lane, struct found *found, struct sock *own)
{
	facts->holds = SET_OF(PASSED_UNPAIRED);
	found->burst = lane->burst + 1;
	if (!has_callbacks(own) && found->burst > UNPAIRED_MESSAGES_MAX)
		facts->wishes = SET_OF(LEAVE_UNPAIRED);
}

/* With a message of another thread on its way to the reader. One that passes now would come before that, or around it: so with a reason to pass
 * it waits for it, a moment. Where that was not enough, since the other thread does not run, whatever can wait does so, and a full reader
 * gets still more. */
static __always_inline void keep_order(struct facts *facts, struct found *found, const struct lane *lane,
				       struct sock *peer, __u32 size)
{
	if (!facts->holds && !facts->wishes && !facts->leaves)
		return;
	if (others_have_come(lane->psock, found->peer.tcp_sock)) {
		found->is_alone = true;
		facts->unread = has_unread(peer);
		return;
	}
	facts->presses &= SET_OF(PASSED_CLOSING);
	if (bytes_charged_to(peer) + size <= OVERFULL_BYTES && found->burst < OVERFULL_MESSAGES)
		facts->holds &= ~SET_OF(PASSED_FULL);
}

static __always_inline void gather(struct facts *facts, struct found *found, struct lane *lane, struct sock *own,
				   const struct control *now, __u32 size, __u64 jiffies)
{
	struct task_struct *task = current_task();
	unsigned long flags = flags_sent_with(task);
	bool has_help = has_heartbeat(now);
	struct sock *peer;

	__builtin_memset(facts, 0, sizeof(*facts));
	__builtin_memset(found, 0, sizeof(*found));
	facts->leaves = lane->notice.leave;
	if (!find_peer(lane, &found->peer)) {
		gather_unpaired(facts, lane, found, own);
		return;
	}
	peer = socket_at(found->peer.tcp_sock);
	/* Before it is looked whether the reader has read all: an end that is released says so before it looks itself (leave.h). */
	found->notice = notice_at(found->peer.lane);
	find_sender(found, lane, task, now);
	find_habits(found, lane);
	found->mean_bytes = next_mean(lane, size, found->notice.cpu != this_cpu_number());
	if (flags & SPECIAL_FLAGS) {
		facts->holds |= SET_OF(PASSED_SPECIAL);
		found->special_habit = flags & MSG_OOB ? HABIT_URGENT : flags & MSG_ZEROCOPY ? HABIT_ZEROCOPY :
											       HABIT_UNKNOWN;
	}
	facts->wishes = wishes_of(found, own);
	found->is_alone = sends_alone(lane->psock, found->peer.tcp_sock);
	if (bypasses_queue(found->peer_habit)) {
		found->has_handed_over = lane->handed_over;
		facts->handover = hand_over(found->peer.tcp_sock, found->peer.cookie, lane->quiet, now, &found->has_handed_over);
	}
	facts->holds |= needs_of(lane, found->notice.cpu, own, peer);
	gather_tcp(facts, found, lane, own, peer, jiffies);
	facts->silenced = lane->quiet;
	facts->unread = has_unread(peer) || has_company(found, lane);
	gather_flow(facts, found, lane, own, peer, size, jiffies);
	if (now->mode != MODE_REDIRECT)
		facts->holds |= SET_OF(now->mode == MODE_WITHOUT_MEMORY ? PASSED_MEMORY : PASSED_STOPPING);
	if (!may_send(own)) {
		/* It fails, with EPIPE. */
		facts->holds |= SET_OF(PASSED_CLOSING);
		facts->presses |= SET_OF(PASSED_CLOSING);
	}
	if (field(peer, __sk_common.skc_state) != BPF_TCP_ESTABLISHED)
		facts->holds |= SET_OF(PASSED_CLOSING);
	if (!has_help && !peer_is_watched_by_level(found->peer.tcp_sock))
		facts->holds |= SET_OF(PASSED_UNTENDED);
	found->may_be_kept = has_help && !found->notice.passes;
	if (now->heartbeat_until < found->until)
		found->until = now->heartbeat_until;
	if (has_company(found, lane))
		keep_order(facts, found, lane, peer, size);
}
