/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Small messages gain, bulk between two CPUs loses: a redirected message needs its reader's socket lock, and waits for it
 * asleep while the reader copies (bpf_tcp_ingress()), where TCP queues. On one CPU redirection is the cheaper way at any size.
 * A socket whose messages to another CPU turn out large is left to TCP wholly; passing them one by one would cost
 * more than half of TCP's speed. docs/benchmarks.md has the measurements. */
#pragma once

/* The running mean of a socket's messages from which on it is bulk. nginx sends a body from disk in 32 KiB messages. */
#define BULK_BYTES (24 * 1024)

static __always_inline bool is_bulk(struct link *link, const struct notice *peer, __u32 size)
{
	__u16 cpu = bpf_get_smp_processor_id() + 1;
	__u32 mean;

	if (link->notice.cpu != cpu)
		link->notice.cpu = cpu;
	/* The peer last sent where it reads: it answers what it has read. */
	mean = link->mean_bytes - link->mean_bytes / 8 + (peer->cpu == cpu ? 0 : size / 8);
	if (mean != link->mean_bytes)
		link->mean_bytes = mean;
	return mean >= BULK_BYTES;
}
