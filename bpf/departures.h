/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sockets that went back to plain TCP: why, and what they have sent since. A scan finds them again, and the process adopts those that have
 * changed (adopt.h). */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include "reasons.h"

#define DEPARTURES_MAX 8192

struct departure {
	enum leave why;
	__u32 data_segs_out;
	__u64 bytes_sent;
	__u32 recent_segments; /* of the last scans, the bytes of which were enough to tell */
	__u32 recent_bytes;
};

/* By cookie. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, DEPARTURES_MAX);
	__type(key, __u64);
	__type(value, struct departure);
} departures SEC(".maps");

/* A connection that has not entered is left to TCP as one that turns to bulk: scans adopt it when it is seen not to. */
static __noinline int note_bulk(struct bpf_sock_ops *ops)
{
	struct departure note = { .why = LEAVE_BULK };
	__u64 cookie = bpf_get_socket_cookie(ops);

	bpf_map_update_elem(&departures, &cookie, &note, BPF_ANY);
	return 0;
}
