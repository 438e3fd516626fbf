/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counters, one set a CPU. Plain additions: programs interrupt each other on a CPU, so one in millions may be lost, and an atomic costs
 * every message some 10 ns. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "reasons.h"

#define ERRORS_MAX 64

/* One a CPU. A message is one verdict of the sk_msg program. */
struct counters {
	__u64 connections_paired; /* by their handshake */
	__u64 connections_adopted; /* that were there before */
	__u64 redirected_messages;
	__u64 redirected_bytes;

	__u64 refused[REFUSALS_END];
	__u64 passed[PASSES_END];
	__u64 left[LEAVE_END];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

/* Connections that were left to TCP because bpf_sock_hash_update() failed in a way that has no counter, by its error's
 * number. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ERRORS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} refused_errors SEC(".maps");

static __always_inline struct counters *this_cpu(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

static __always_inline void count_redirected(__u64 bytes)
{
	struct counters *mine = this_cpu();

	if (!mine)
		return;
	mine->redirected_messages += 1;
	mine->redirected_bytes += bytes;
}

/* Not inlined, nor static: the verifier looks at it once, and need not know how each reason came about. */
__noinline int count_pass(__u32 reason)
{
	struct counters *mine = this_cpu();

	if (mine && reason < PASSES_END)
		mine->passed[reason]++;
	return 0;
}

static __always_inline void count_refused(enum refusal reason)
{
	struct counters *mine = this_cpu();

	if (mine && reason < REFUSALS_END)
		mine->refused[reason]++;
}

static __always_inline void count_left(enum leave reason)
{
	struct counters *mine = this_cpu();

	if (mine && reason < LEAVE_END)
		mine->left[reason]++;
}

static __always_inline void count_paired(void)
{
	struct counters *mine = this_cpu();

	if (mine)
		mine->connections_paired++;
}

static __always_inline void count_adopted(void)
{
	struct counters *mine = this_cpu();

	if (mine)
		mine->connections_adopted++;
}

/* Adds to an element of a hash whose values are numbers, such as `refused_errors`. When it is full a new key is not counted. */
static __always_inline void count_key(void *map, const void *key, __u64 times)
{
	__u64 *sum = bpf_map_lookup_elem(map, key);

	/* Another CPU may have been first. */
	if (!sum && bpf_map_update_elem(map, key, &times, BPF_NOEXIST))
		sum = bpf_map_lookup_elem(map, key);
	if (sum)
		__sync_fetch_and_add(sum, times);
}
