/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections that an operator wants on TCP for a while, so that tcpdump sees them. Each process that asks has a rule set of its own, of
 * one rule, and says again and again that it is there: what one asked for that was killed is over within seconds. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "cast.h"
#include "lease.h"
#include "rule_sets.h"

#define PASS_WORDS_BYTES 96

struct pass_request {
	__u64 lease_ns; /* CLOCK_MONOTONIC: until then who has asked is there */
	__u64 ends_ms; /* since 1970: until then it was asked for; 0: until who has asked ends */
	__u32 pid; /* in its own PID namespace */
	__u32 pad;
	char words[PASS_WORDS_BYTES]; /* what was asked for */
};

/* By the number of the filter, whose rule set is that plus RULE_SLOTS. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PASS_FILTERS_MAX);
	__type(key, __u32);
	__type(value, struct pass_request);
} pass_requests SEC(".maps");

/* The last of all leases: a handshake looks at no more while nobody asks. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} passing_until SEC(".maps");

static __always_inline bool somebody_asks_to_pass(void)
{
	__u32 zero = 0;
	__u64 *until_ns = bpf_map_lookup_elem(&passing_until, &zero);

	return until_ns && lasts_until(*until_ns);
}

static __always_inline bool is_pass_filter_in_force(__u32 filter)
{
	struct pass_request *request = bpf_map_lookup_elem(&pass_requests, &filter);

	return request && lasts_until(request->lease_ns);
}
