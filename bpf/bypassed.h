/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Readers that take bytes beside the redirected queue. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define BYPASSED_MAX 1024

/* Cookies of sockets that are read beside the redirected queue while there is something in it, until user space has
 * handed that over to TCP, and how many bytes it is about to send again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, BYPASSED_MAX);
	__type(key, __u64);
	__type(value, __u32);
} bypassed SEC(".maps");
