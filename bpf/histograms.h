/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What connections were like, counted once each, when they end or leave: nothing of it is done while they send. A bucket is twice as wide as
 * the one before it. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "lane.h"
#include "reasons.h"
#include "rule_sets.h"
#include "trace.h"

#define HISTOGRAM_BUCKETS 32
/* The first bucket has all up to 2^this: us, and bytes. */
#define AGE_SHIFT 10
#define BYTES_SHIFT 5

/* Of a connection, by what it has ended with: enum leave, STAY when it was closed. */
enum histogram_kind {
	HISTOGRAM_AGE, /* us that both ends were in the sockhash */
	HISTOGRAM_MESSAGES, /* redirected, in both directions */
	HISTOGRAM_BYTES,
	HISTOGRAM_MESSAGE_BYTES, /* the mean of these messages */
	HISTOGRAM_KINDS,
};

/* After the last of these: us from the handshake to the first redirected message. */
#define HISTOGRAM_FIRST_MESSAGE LEAVE_END
#define HISTOGRAM_PLACES (LEAVE_END * HISTOGRAM_KINDS + 1)
#define RULE_HISTOGRAMS_MAX (RULE_SLOTS * RULES_MAX)

struct histogram {
	__u64 sum;
	__u64 buckets[HISTOGRAM_BUCKETS]; /* the last one has no upper end */
};

/* At enum leave * HISTOGRAM_KINDS + kind. Plain additions, as in count.h. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HISTOGRAM_PLACES);
	__type(key, __u32);
	__type(value, struct histogram);
} histograms SEC(".maps");

/* All of them, of the connections that a rule has let in. */
struct connection_histograms {
	struct histogram kinds[HISTOGRAM_KINDS];
};

/* By the name of a rule. User space makes them for the rules that it puts in force, and for those alone: without rules nothing is here. All
 * CPUs add to the same: when an element is made the kernel may have no memory for one a CPU, and of many rules on many CPUs that would be much. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, RULE_HISTOGRAMS_MAX);
	__type(key, __u32);
	__type(value, struct connection_histograms);
} rule_histograms SEC(".maps");

/* The smallest i with @value <= 2^i. */
static __always_inline __u32 power_above(__u64 value)
{
	__u32 power = 0;

	if (value < 2)
		return 0;
	value--;
	/* By halves, since BPF has no instruction for it. */
#pragma unroll
	for (int bits = 32; bits; bits /= 2) {
		if (value >> bits) {
			value >>= bits;
			power += bits;
		}
	}
	return power + 1;
}

/* Not inlined, nor static, here and below: the verifier looks at it once.
 * @shift: the first bucket has all up to 2^shift */
__noinline int bucket_of(__u64 value, __u32 shift)
{
	__u32 power = power_above(value);
	__u32 bucket = power > shift ? power - shift : 0;

	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

__noinline int observe_value(__u32 how, enum histogram_kind kind, __u64 value, __u32 shift)
{
	__u32 place = how * HISTOGRAM_KINDS + kind;
	struct histogram *mine = bpf_map_lookup_elem(&histograms, &place);

	if (!mine)
		return 0;
	mine->sum += value;
	mine->buckets[bucket_of(value, shift) & (HISTOGRAM_BUCKETS - 1)]++;
	return 0;
}

/* Of one that all CPUs add to. */
static __always_inline void add_to_shared(struct histogram *histogram, __u64 value, __u32 shift)
{
	__sync_fetch_and_add(&histogram->sum, value);
	__sync_fetch_and_add(&histogram->buckets[bucket_of(value, shift) & (HISTOGRAM_BUCKETS - 1)], 1);
}

/* @rule: lane.rule; when it holds no more, nothing is found */
__noinline int observe_by_rule(__u32 rule, __u64 age, __u64 messages, __u64 bytes)
{
	struct connection_histograms *its;

	if (!rule)
		return 0;
	its = bpf_map_lookup_elem(&rule_histograms, &rule);
	if (!its)
		return 0;
	add_to_shared(&its->kinds[HISTOGRAM_AGE], age, AGE_SHIFT);
	add_to_shared(&its->kinds[HISTOGRAM_MESSAGES], messages, 0);
	add_to_shared(&its->kinds[HISTOGRAM_BYTES], bytes, BYTES_SHIFT);
	if (messages)
		add_to_shared(&its->kinds[HISTOGRAM_MESSAGE_BYTES], bytes / messages, 0);
	return 0;
}

/* How a connection was, as it has ended. */
__noinline int observe_connection(__u32 how, __u32 rule, __u64 age, __u64 messages, __u64 bytes)
{
	if (how >= LEAVE_END)
		return 0;
	observe_by_rule(rule, age, messages, bytes);
	observe_value(how, HISTOGRAM_AGE, age, AGE_SHIFT);
	observe_value(how, HISTOGRAM_MESSAGES, messages, 0);
	observe_value(how, HISTOGRAM_BYTES, bytes, BYTES_SHIFT);
	if (messages)
		observe_value(how, HISTOGRAM_MESSAGE_BYTES, bytes / messages, 0);
	return 0;
}

static __always_inline bool knows_live_peer(const struct lane *lane)
{
	return lane->peer.tcp_sock && is_still(lane, (void *)lane->peer.tcp_sock);
}

/* Microseconds since the end has entered. */
static __always_inline __u64 age_of(const struct lane *lane)
{
	return (bpf_ktime_get_ns() - lane->since_ns) / 1000;
}

/* What an accelerated connection was like, by its client's end, once: when the first FIN or RST comes, after which nothing is redirected, or
 * when it leaves. A client that leaves with its peer has its peer's reason. */
static __noinline int has_been(struct lane *lane, __u32 how)
{
	__u64 messages = lane->messages - lane->messages_before, bytes = lane->bytes - lane->bytes_before;

	if (lane->key & 1 || lane->account & ACCOUNT_COUNTED)
		return 0;
	lane->account |= ACCOUNT_COUNTED;
	if (knows_live_peer(lane)) {
		__u32 why = peer_notice(lane).leave;

		messages += account_at(lane->peer.lane, messages);
		bytes += account_at(lane->peer.lane, bytes);
		if (how == LEAVE_WITH_PEER && why)
			how = why;
	}
	return observe_connection(how, lane->rule, age_of(lane), messages, bytes);
}

/* The first message of this end was redirected. It counts when it is the first of the connection, and that has entered by its handshake. */
static __noinline int has_first_message(struct lane *lane)
{
	if (!lane->callbacks || (knows_live_peer(lane) && account_at(lane->peer.lane, messages)))
		return 0;
	return observe_value(HISTOGRAM_FIRST_MESSAGE, 0, age_of(lane), 0);
}
