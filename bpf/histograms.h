/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What connections were like, counted once each, when they end or leave: nothing of it is done while they send. A bucket is twice as wide as
 * the one before it. Plain additions, as in count.h. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "lane.h"
#include "reasons.h"
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

/* One a CPU. */
struct histogram {
	__u64 sum;
	__u64 buckets[HISTOGRAM_BUCKETS]; /* the last one has no upper end */
};

/* At enum leave * HISTOGRAM_KINDS + kind. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HISTOGRAM_PLACES);
	__type(key, __u32);
	__type(value, struct histogram);
} histograms SEC(".maps");

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

/* Not inlined, nor static: the verifier looks at it once.
 * @shift: the first bucket has all up to 2^shift */
__noinline int observe_value(__u32 how, enum histogram_kind kind, __u64 value, __u32 shift)
{
	__u32 place = how * HISTOGRAM_KINDS + kind;
	struct histogram *mine = bpf_map_lookup_elem(&histograms, &place);
	__u32 power = power_above(value);
	__u32 bucket = power > shift ? power - shift : 0;

	if (!mine)
		return 0;
	if (bucket >= HISTOGRAM_BUCKETS)
		bucket = HISTOGRAM_BUCKETS - 1;
	mine->sum += value;
	mine->buckets[bucket & (HISTOGRAM_BUCKETS - 1)]++;
	return 0;
}

/* How a connection was, as it has ended. */
__noinline int observe_connection(__u32 how, __u64 age, __u64 messages, __u64 bytes)
{
	if (how >= LEAVE_END)
		return 0;
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
	return observe_connection(how, age_of(lane), messages, bytes);
}

/* The first message of this end was redirected. It counts when it is the first of the connection, and that has entered by its handshake. */
static __noinline int has_first_message(struct lane *lane)
{
	if (!lane->callbacks || (knows_live_peer(lane) && account_at(lane->peer.lane, messages)))
		return 0;
	return observe_value(HISTOGRAM_FIRST_MESSAGE, 0, age_of(lane), 0);
}
