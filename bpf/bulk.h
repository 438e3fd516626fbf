/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Small messages gain, bulk loses: a redirected message is copied into pages that its reader frees on another CPU, wakes
 * the reader by itself, and waits for the reader's lock, where TCP queues. A socket whose messages turn out large is left
 * to TCP wholly; passing its messages one by one would cost more than half of TCP's speed. docs/benchmarks.md has the
 * measurements. */
#pragma once

/* The running mean of a socket's messages from which on it is bulk. nginx sends a body from disk in 32 KiB messages. */
#define BULK_BYTES (24 * 1024)

static __always_inline bool is_bulk(struct link *link, __u32 size)
{
	__u32 mean = link->mean_bytes - link->mean_bytes / 8 + size / 8;

	if (mean != link->mean_bytes)
		link->mean_bytes = mean;
	return mean >= BULK_BYTES;
}
