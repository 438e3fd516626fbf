/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who dumps what messages are made of, as tcpdump dumps packets, and what is written for it. While somebody does, no verdict is kept
 * (redirect.h), so that every message comes by dump.h; while nobody does, none. A send never waits: what finds no room is counted. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "connection.h"
#include "control.h"
#include "lease.h"

/* User space says whether this kernel lets an sk_msg program copy messages. */
const volatile bool can_dump = false;

/* What a connection is called at one of its ends. */
struct dumped_end {
	struct endpoint local;
	struct endpoint remote;
	__u32 netns; /* the inode of its network namespace */
};

/* A part of a message, before its bytes. */
struct dumped {
	__u64 ns; /* CLOCK_MONOTONIC */
	__u64 key; /* the connection's: the client's cookie << 1, plus 1 when the server sends */
	__u32 seq; /* of the message's first byte: what TCP has carried in this direction, and what was redirected */
	__u32 ack; /* the same of the other direction */
	__u32 has_peer; /* `ack` and `peer` are known */
	__u32 passed; /* it goes to TCP */
	__u32 message_bytes;
	__u32 offset; /* of this part */
	__u32 bytes; /* of this part */
	__u32 pid; /* of who sends, in the host's PID namespace */
	char program[16];
	struct dumped_end own;
	struct dumped_end peer;
};

/* A message on its way into records. */
struct dumped_message {
	struct dumped head;
	__u32 element; /* the next of the message */
	__u32 left; /* of the one before that */
};

/* Who dumps: one process. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lease);
} dumping SEC(".maps");

/* Where parts are written for it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct ring);
} dumps SEC(".maps");

/* What is said of each of a socket's messages, under the socket's lock. Only those that were dumped have it: it is made once, and the
 * names of the ends are looked up then. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct dumped_message);
} dump_heads SEC(".maps");

/* From now on every message is looked at anew. */
static __always_inline int start_to_dump(void)
{
	begin_epoch();
	return is_leased(&dumping);
}
