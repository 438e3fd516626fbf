/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Small messages gain, bulk between two CPUs loses: a redirected message needs its reader's socket lock, and waits for it
 * asleep while the reader copies (bpf_tcp_ingress()), where TCP queues. On one CPU redirection is the cheaper way at any size.
 * A socket whose messages to another CPU turn out large is left to TCP wholly; passing them one by one would cost
 * more than half of TCP's speed. docs/benchmarks.md has the measurements. */
#pragma once

#include "lane.h"

/* The running mean of a socket's messages from which on it is bulk. nginx sends a body from disk in 32 KiB messages. */
#define BULK_BYTES (24 * 1024)

/* Messages as small as this do not change what is known: neither of the last ones was larger. */
#define SMALL_BYTES 2048

static __always_inline bool is_small(const struct lane *lane, __u32 size)
{
	return (size | lane->mean_bytes) < SMALL_BYTES;
}

/* @cpus_differ: the reader has last sent on another CPU than this one; else it answers here what it has read here */
static __always_inline __u32 next_mean(const struct lane *lane, __u32 size, bool cpus_differ)
{
	return lane->mean_bytes - lane->mean_bytes / 8 + (cpus_differ ? size / 8 : 0);
}

static __always_inline __u16 this_cpu_number(void)
{
	return bpf_get_smp_processor_id() + 1;
}
