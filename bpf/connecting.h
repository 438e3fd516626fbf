/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which program has called connect(2): kept until its handshake is over, most often before the call is. That may be on another CPU, where
 * one spreads what arrives over CPUs (RPS). */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "executable.h"
#include "habits.h"
#include "socket.h"
#include "task.h"
#include "unknown_programs.h"

/* Handshakes under way, by their socket: of two at the same place the first one's program is not known. */
#define CONNECTING_PLACES 1024

struct connecting {
	__u64 sk;
	struct executable executable;
	__u32 seq; /* the initial one: another socket may have the same address later */
	__u32 pad;
	__u64 check; /* of `seq` and `executable`: two CPUs may write at once */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CONNECTING_PLACES);
	__type(key, __u32);
	__type(value, struct connecting);
} connecting SEC(".maps");

static __always_inline __u64 check_of(const struct connecting *connecting)
{
	const __u64 factor = 0x9e3779b97f4a7c15ull;
	__u64 hash = (connecting->seq ^ connecting->executable.inode) * factor;

	hash = (hash ^ hash >> 32 ^ connecting->executable.device ^ (__u64)connecting->executable.generation << 32) * factor;
	return hash ^ hash >> 32;
}

/* @seq: the initial one, which is as good as a random number */
static __always_inline struct connecting *connecting_at(__u32 seq)
{
	__u32 place = seq % CONNECTING_PLACES;

	return bpf_map_lookup_elem(&connecting, &place);
}

/* The callback in connect(2), in the process of the client. */
static __noinline int connects(struct bpf_sock *sk)
{
	struct sock *tp = (void *)bpf_skc_to_tcp_sock(sk);
	struct connecting *place, own = {};

	if (!tp || !sees_habits || (!all_sockets && !nonblocking(tp)))
		return 0;
	own.seq = READ((struct tcp_sock *)tp, write_seq);
	place = connecting_at(own.seq);
	if (!place)
		return 0;
	own.sk = (__u64)tp;
	own.executable = executable_of(READ(current_task(), mm));
	own.check = check_of(&own);
	*place = own;
	if (learns_first())
		meet(&own.executable, current_task());
	return 0;
}

/* All 0 when it is not known.
 * @first: the first sequence number that the client sends with data */
static __noinline int get_client_executable(struct sock *sk, __u32 first, struct executable *executable)
{
	struct connecting *place = connecting_at(first - 1), found;

	if (!place || !executable)
		return 0;
	found = *place;
	barrier(); /* it is looked at once */
	if (found.sk == (__u64)sk && found.seq + 1 == first && found.check == check_of(&found))
		*executable = found.executable;
	return 0;
}
