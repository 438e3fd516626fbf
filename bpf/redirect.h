/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the sk_msg program does with a message. While everything is as it was when the last one was redirected, so is this one
 * (fast_path.h); else the facts are gathered (facts.h), the verdict follows from them (verdict.h), and is carried out here, by the
 * only ones that write. */
#pragma once

#include "callbacks.h"
#include "control.h"
#include "count.h"
#include "dump.h"
#include "edges.h"
#include "facts.h"
#include "fast_path.h"
#include "habits.h"
#include "histograms.h"
#include "lane.h"
#include "leave.h"
#include "pairing.h"
#include "socket.h"
#include "task.h"
#include "verdict.h"
#include "worth.h"

static __always_inline void note_sender(struct lane *lane, struct found *found)
{
	lane->mm = found->mm;
	meet(&found->executable, current_task());
	if (!found->is_other_executable)
		return;
	lane->executable = found->executable;
	lane->notice.executables++;
}

static __always_inline void note_habits(struct lane *lane, const struct found *found)
{
	lane->habits_seen = found->habits_seen;
	lane->peer_executables = found->notice.executables;
	lane->own_habit = found->own_habit;
	lane->peer_habit = found->peer_habit;
	lane->peer_can_splice = found->peer_can_splice;
}

/* A send has shown what its program, or the reader's, does: kTLS, say, for which one end is enough, since what it sends is not what the
 * other's application reads; or a socket that was given to the kernel, which waits for messages as a blocking program does. */
static __noinline int learn_from(struct lane *lane, struct sock *own, __u32 holds, __u32 special_habit)
{
	struct sock *peer = socket_at(lane->peer.tcp_sock);
	struct executable executable;

	if (special_habit)
		learn(&lane->executable, special_habit);
	if (!(holds & (SET_OF(PASSED_PROTOCOL) | SET_OF(PASSED_OPTION))))
		return 0;
	bpf_probe_read_kernel(&executable, sizeof(executable), (void *)lane->peer.lane + offsetof(struct lane, executable));
	if (holds & SET_OF(PASSED_PROTOCOL))
		learn(has_ulp(own) ? &lane->executable : &executable, HABIT_PROTOCOL);
	else if (does_block_io(peer))
		learn(&executable, HABIT_PROTOCOL);
	return 0;
}

static __always_inline void note_found(struct lane *lane, struct sock *own, const struct facts *facts, struct found *found)
{
	__u16 cpu = this_cpu_number();

	lane->burst = found->burst;
	if (!found->peer.key)
		return;
	note_peer(lane, &found->peer);
	if (found->is_new_sender)
		note_sender(lane, found);
	note_habits(lane, found);
	if (lane->notice.cpu != cpu)
		lane->notice.cpu = cpu;
	lane->mean_bytes = found->mean_bytes;
	lane->memory_seen = found->memory_seen;
	lane->room = found->room;
	if (found->has_read_tcp) {
		lane->tcp_bytes_end = found->write_seq;
		lane->on_tcp = 0;
	}
	if (found->is_alone)
		lane->messages_alone = lane->messages;
	if (facts->handover != HANDOVER_NONE && found->has_handed_over && found->is_alone)
		lane->handed_over = 1;
	if (found->special_habit || facts->holds & (SET_OF(PASSED_PROTOCOL) | SET_OF(PASSED_OPTION)))
		learn_from(lane, own, facts->holds, found->special_habit);
}

static __always_inline int pass(struct lane *lane, enum pass reason, __u32 bytes, __u32 jiffies)
{
	lane->on_tcp = 1;
	lane->epoch = 0;
	lane->passed_for = reason;
	lane->passed_messages++;
	lane->passed_bytes += bytes;
	lane->moved = jiffies;
	count_pass(reason);
	return SK_PASS;
}

static __always_inline int redirect_to_peer(struct sk_msg_md *msg, struct lane *lane, __u32 jiffies)
{
	if (bpf_msg_redirect_hash(msg, &sockets, &lane->peer.key, BPF_F_INGRESS) != SK_PASS)
		return pass(lane, PASSED_PEER_LEFT, msg->size, jiffies);
	lane->messages++;
	lane->bytes += msg->size;
	lane->moved = jiffies;
	count_redirected(msg->size);
	return SK_PASS;
}

static __always_inline int apply(struct sk_msg_md *msg, struct lane *lane, struct sock *own, const struct facts *facts,
				 struct found *found, const struct verdict *verdict, __u32 jiffies)
{
	__u16 was_on_tcp = lane->on_tcp;

	note_found(lane, own, facts, found);
	if (verdict->leave == LEAVE_BULK)
		has_shown(lane, WORTH_BULK);
	if (verdict->leave)
		want_to_leave(lane, own, verdict->leave);
	else if (lane->notice.leave && !has_callbacks(own))
		leave_by_release(lane); /* another program may have taken its callbacks since */
	if (verdict->action == REFUSE)
		return SK_DROP;
	if (verdict->action == REDIRECT) {
		bool is_first = !lane->messages;
		int result;

		if (lane->notice.passes)
			lane->notice.passes = 0;
		result = redirect_to_peer(msg, lane, jiffies);
		if (is_first && lane->messages)
			has_first_message(lane);
		return result;
	}
	if (verdict->leaves_now && found->is_alone && lane->quiet != QUIET)
		lane->quiet = QUIET;
	/* A reader that is full, and is not to miss anything, gets more when there are that many. */
	if (verdict->needs_edge && !want_edge(&lane->peer) && verdict->reason == PASSED_FULL)
		return redirect_to_peer(msg, lane, jiffies);
	if (verdict->lasts)
		lane->notice.passes = was_on_tcp; /* as the one before it, and as will the next ones */
	else if (verdict->reason == PASSED_ACKNOWLEDGING)
		lane->notice.passes = 0; /* else the two could go on so for ever */
	return pass(lane, verdict->reason, msg->size, jiffies);
}

static __noinline int reconsider(struct sk_msg_md *msg, struct lane *lane, struct sock *own, struct control *now, __u64 jiffies)
{
	__u64 epoch = epoch_of(now); /* before the facts that it is about */
	struct facts *facts = &lane->facts;
	struct found *found = &lane->found;

	lane->epoch = 0;
	gather(facts, found, lane, own, now, msg->size, jiffies);
	barrier();
	lane->verdict = decide(facts);
	barrier();
	if (can_dump && is_leased(&dumping)) {
		if (lane->verdict.action != REFUSE)
			dump_message(msg, lane, own, lane->verdict.action != REDIRECT);
	} else if (found->may_be_kept && !facts->holds && !facts->wishes && !facts->leaves && facts->handover == HANDOVER_NONE)
		keep(lane, own, found, epoch);
	return apply(msg, lane, own, facts, found, &lane->verdict, jiffies);
}

/* The fields of a socket; NULL when it is not TCP's. */
static __always_inline struct sock *own_socket(struct bpf_sock *sk)
{
	return casts_addresses ? (struct sock *)cast_to(struct tcp_sock, sk) : (struct sock *)bpf_skc_to_tcp_sock(sk);
}

static __always_inline int decide_message(struct sk_msg_md *msg)
{
	__u64 jiffies = bpf_jiffies64();
	struct bpf_sock *sk = msg->sk;
	struct control *now = current_control();
	struct sock *own, *peer;
	struct lane *lane;

	if (!sk || !now)
		return SK_PASS;
	lane = bpf_sk_storage_get(&lanes, sk, 0, 0);
	if (is_half_adopted(lane))
		return SK_PASS;
	own = own_socket(sk);
	if (!own)
		return SK_PASS;
	peer = socket_at(lane->peer.tcp_sock);
	if ((sk->state == BPF_TCP_ESTABLISHED || sk->state == BPF_TCP_CLOSE_WAIT) && is_as_decided(lane, own, peer, now, jiffies) &&
	    fits(lane, peer, msg->size, jiffies))
		return redirect_to_peer(msg, lane, jiffies);
	return reconsider(msg, lane, own, now, jiffies);
}
