/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who wants to be told something of each connection or message says again and again that it is there: one that was killed costs nothing
 * within seconds. What is told goes into a ring buffer that is there only while somebody reads it. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

/* Of one process. */
struct lease {
	__u64 until_ns; /* CLOCK_MONOTONIC */
	__u64 lost; /* records for which there was no room */
	__u32 pid; /* in its own PID namespace */
	__u32 pad;
};

/* User space puts one in, of the size that it wants: this is only what the verifier is told of it. The page of every machine fits. */
struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
};

/* Without a call of the clock while nobody has a lease. */
static __always_inline bool lasts_until(__u64 ns)
{
	return ns && ns > bpf_ktime_get_ns();
}

/* @leases: a map of one struct lease */
static __always_inline bool is_leased(void *leases)
{
	__u32 zero = 0;
	struct lease *lease = bpf_map_lookup_elem(leases, &zero);

	return lease && lasts_until(lease->until_ns);
}

static __always_inline void lose_record(void *leases)
{
	__u32 zero = 0;
	struct lease *lease = bpf_map_lookup_elem(leases, &zero);

	if (lease)
		__sync_fetch_and_add(&lease->lost, 1);
}
