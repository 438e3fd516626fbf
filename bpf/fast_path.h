/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The fast path of a message: while everything is as it was when the last message was redirected, so is this one. What was decided
 * is kept in the lane, and compared with what is so now. */
#pragma once

#include "bulk.h"
#include "cast.h"
#include "control.h"
#include "flow.h"
#include "lane.h"
#include "memory.h"
#include "options.h"
#include "socket.h"
#include "task.h"

/* The next messages are redirected as this one. The epoch comes last: it makes the rest hold. */
static __always_inline void keep(struct lane *lane, struct sock *own, const struct found *found, __u64 epoch)
{
	struct sock *peer = socket_at(found->peer.tcp_sock);

	lane->own_file = file_of(own);
	lane->peer_file = file_of(peer);
	lane->peer_notice = notice_word(&found->notice) & NOTICE_BUT_CPU;
	lane->own_prot = (__u64)field(own, __sk_common.skc_prot);
	lane->peer_prot = (__u64)field(peer, __sk_common.skc_prot);
	lane->until = found->until;
	barrier();
	lane->epoch = epoch;
}

/* Nothing is different from when the last message was redirected of what mda is told, of what it has to look for each time (options, modes,
 * states), and of how this one is sent. */
static __always_inline bool is_as_decided(const struct lane *lane, struct sock *own, struct sock *peer, const struct control *now,
					  __u64 jiffies)
{
	struct task_struct *task = current_task();
	struct tcp_sock *tp = (void *)own;
	__u64 epoch = epoch_of(now);

	if (!epoch || lane->epoch != epoch || lane->until <= jiffies)
		return false;
	if ((peer_notice_word(lane) & NOTICE_BUT_CPU) != lane->peer_notice || notice_word(&lane->notice) & NOTICE_LEAVES_OR_PASSES)
		return false;
	if ((__u64)field(task, mm) != lane->mm || flags_sent_with(task) & SPECIAL_FLAGS)
		return false;
	if (field(tp, write_seq) != lane->tcp_bytes_end || (__u64)field(own, __sk_common.skc_prot) != lane->own_prot ||
	    stamps_what_it_sends(own) || field(own, sk_max_pacing_rate) != ~0ul)
		return false;
	if ((__u64)field(peer, __sk_common.skc_prot) != lane->peer_prot ||
	    field(peer, __sk_common.skc_state) != BPF_TCP_ESTABLISHED || field(peer, sk_rcvlowat) > 1 || has_special_option(peer))
		return false;
	return all_sockets || (is_nonblocking(lane->own_file) && is_nonblocking(lane->peer_file));
}

/* Neither its size nor what is unread calls for another look. Notes what a message changes of that. */
static __always_inline bool fits(struct lane *lane, struct sock *peer, __u32 size, __u32 jiffies)
{
	__s64 bytes = bytes_charged_to(peer);
	__u16 cpu = this_cpu_number();
	__u32 mean = lane->mean_bytes;

	if (!has_much_room(peer, bytes, size, bytes ? lane->burst : 0, lane->room))
		return false;
	if (!is_small(lane, size))
		mean = next_mean(lane, size, peer_notice_word(lane) >> NOTICE_CPU_BITS != cpu);
	if (mean >= BULK_BYTES)
		return false;
	if (memory_is_short(&lane->memory_seen, lane->peer.tcp_sock, size, jiffies))
		return false;
	if (bytes)
		lane->burst++;
	else if (lane->burst)
		lane->burst = 0;
	if (mean != lane->mean_bytes)
		lane->mean_bytes = mean;
	if (lane->notice.cpu != cpu)
		lane->notice.cpu = cpu;
	return true;
}
