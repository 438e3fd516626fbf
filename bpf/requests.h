/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What commands ask of the process that runs the data plane. The kernel's side only keeps it. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum request_state {
	REQUEST_WAITS,
	REQUEST_DONE,
	REQUEST_FAILED, /* the rules are those that there were */
};

/* A command asks the process that runs the data plane to read its configuration again. One writes it, the other answers. */
struct reload_request {
	__u64 asked_ms; /* since 1970 */
	__u32 reapply; /* also for the connections that are there */
	enum request_state state;
};

/* By a number that the asker has drawn. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, struct reload_request);
} reload_requests SEC(".maps");
