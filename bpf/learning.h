/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How programs become known. Sockets of a program of which nothing is known stay outside of the sockhash, where they are TCP's
 * in every respect: inside, FIONREAD would say 0 for what passes. They are looked at from outside, by callbacks of their own
 * when TCP acknowledges what they have sent and when they close, and by the scans of descriptors: a program that has
 * received so many segments, and of which no hook has seen that it did so otherwise, receives with recv(2) and its like. From
 * then on its new connections enter at their handshake, and those that are there by adoption. */
#pragma once

#include "callbacks.h"
#include "control.h"
#include "executable.h"
#include "fionread.h"
#include "habits.h"
#include "seqs.h"
#include "unknown_programs.h"

/* So many messages tell how a program receives: more than a handshake of TLS, a greeting, a login. */
#define HABIT_MESSAGES 8

/* Who asks how much is unread, and always while there is something, may take 0 for the end of the stream; who has been told 0 as
 * well and went on does not. So long it is waited for that. */
#define HABIT_MESSAGES_ASKING 256

#define OUTSIDERS_MAX 8192

/* A socket of a program that is not known, which stays outside of the sockhash and is looked at there. */
struct observed {
	struct executable executable;
	__u32 own_seq; /* its kernel address may have become another's: see own_seq() */
	__u32 segments; /* with data, that have counted */
	__u32 copied_seq; /* then */
	__u32 callbacks; /* that it has for us: see callbacks.h */
};

/* By kernel address: a socket may have no cookie yet. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OUTSIDERS_MAX);
	__type(key, __u64);
	__type(value, struct observed);
} outsiders SEC(".maps");

/* So many messages, or segments, were read by a program that was not seen to do it in a way of its own. */
static __noinline int count_received(const struct executable *executable, __u32 messages)
{
	struct program *program = bpf_map_lookup_elem(&programs, executable);
	struct control *now = current_control();

	if (!sees_habits || !now || !program || program->habit != HABIT_UNKNOWN)
		return 0;
	/* Nobody would have seen it do otherwise. */
	if (!now->all_watched && !(program->in_code & CODE_WATCHED))
		return 0;
	/* What it was before is for kernels from 5.12 on to give (BPF_FETCH). */
	__sync_fetch_and_add(&program->messages, messages);
	if (program->messages < HABIT_MESSAGES)
		return 0;
	if (may_be_told_wrong(program)) {
		if (program->asks & ASKS_ON_EDGES || program->messages >= HABIT_MESSAGES_ASKING)
			learn(executable, HABIT_COUNTS);
		return 0;
	}
	if (unknown_programs != UNKNOWN_STRICT || (program->in_code & (CODE_CHECKED | CODE_SPLICES)) == CODE_CHECKED)
		learn(executable, HABIT_RECEIVES);
	return 0;
}

/* Everything that has arrived is read; what ends the stream counts as a byte, also before the state says so. */
static __always_inline bool has_read_all(struct tcp_sock *tp)
{
	return READ(tp, rcv_nxt) - READ(tp, copied_seq) <= 1;
}

static __always_inline void note_received(struct observed *observed, struct tcp_sock *tp)
{
	observed->segments = READ(tp, data_segs_in);
	observed->copied_seq = READ(tp, copied_seq);
}

static __always_inline struct observed observation_of(struct tcp_sock *tp, const struct executable *executable)
{
	struct observed observed = { .executable = *executable };

	observed.own_seq = own_seq(tp);
	note_received(&observed, tp);
	return observed;
}

/* Counts what the program has read since the last look, as far as it shows. */
static __noinline int look_at(struct observed *observed, struct tcp_sock *tp)
{
	struct executable executable = observed->executable;
	__u32 segments = READ(tp, data_segs_in) - observed->segments;
	__u32 read = READ(tp, copied_seq) - observed->copied_seq;

	if (!read)
		return 0;
	note_received(observed, tp);
	/* While it has not read all, nobody knows which segments it has read; the last one may be in the queue since just now. */
	count_received(&executable, segments && has_read_all(tp) ? segments : 1);
	return 0;
}

/* From now on callbacks of the socket show what its program receives; returns 0 when that is known.
 * @callbacks: those that it has for us already */
static __noinline int observe(struct bpf_sock_ops *ops, struct sock *sk, const struct executable *executable, __u32 callbacks)
{
	struct observed observed = observation_of((void *)sk, executable);
	__u64 address = (__u64)sk;
	struct control *now;

	if (!is_known(executable) || habit_of(executable) != HABIT_UNKNOWN)
		return 0;
	now = current_control();
	/* Scans look at those that live longer, where there is a process. */
	observed.callbacks = callbacks |
			     ask_for_callbacks(ops, now && has_heartbeat(now) ? BPF_SOCK_OPS_STATE_CB_FLAG : CALLBACKS);
	bpf_map_update_elem(&outsiders, &address, &observed, BPF_ANY);
	return 1;
}

/* A callback of a socket that is not in the sockhash. */
static __noinline int look_at_outsider(struct bpf_sock_ops *ops, struct sock *sk)
{
	__u64 address = (__u64)sk;
	struct observed *observed = bpf_map_lookup_elem(&outsiders, &address);
	enum habit habit;

	if (observed && observed->own_seq == own_seq((void *)sk)) {
		look_at(observed, (void *)sk);
		habit = habit_of(&observed->executable);
		/* It may be adopted: then it is good to hear of its end. */
		if (habit == HABIT_RECEIVES)
			give_up_callbacks(ops, observed->callbacks & BPF_SOCK_OPS_RTT_CB_FLAG);
		else if (habit != HABIT_UNKNOWN)
			give_up_callbacks(ops, observed->callbacks);
	} else if (ops->bpf_sock_ops_cb_flags == CALLBACKS) {
		give_up_callbacks(ops, CALLBACKS); /* of one that is forgotten; others would have asked for others */
	}
	return 0;
}

/* A scan has found a connected socket that is not in the sockhash. What it had read before the first scan was not watched. */
static __noinline int scan_outsider(struct sock *sk, const struct executable *executable)
{
	struct observed new = observation_of((void *)sk, executable);
	__u64 address = (__u64)sk;
	struct observed *observed = bpf_map_lookup_elem(&outsiders, &address);

	if (observed && observed->own_seq == new.own_seq) {
		if (same_executable(&observed->executable, executable))
			return look_at(observed, (void *)sk);
		new.callbacks = observed->callbacks;
	}
	bpf_map_update_elem(&outsiders, &address, &new, BPF_ANY);
	return 0;
}
