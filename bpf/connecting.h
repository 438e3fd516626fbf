/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which program has called connect(2): kept until its handshake is over. Over loopback that ends on the same CPU, most often before
 * the call does. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "executable.h"
#include "habits.h"
#include "socket.h"
#include "task.h"
#include "unknown_programs.h"

/* Handshakes under way on a CPU, by their socket: more are not known by their program. */
#define CONNECTING_MAX 16

struct connecting {
	__u64 sk;
	__u32 seq; /* the initial one: another socket may have the same address later */
	__u32 pad;
	struct executable executable;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CONNECTING_MAX);
	__type(key, __u32);
	__type(value, struct connecting);
} connecting SEC(".maps");

static __always_inline struct connecting *connecting_at(struct sock *sk)
{
	__u64 address = (__u64)sk;
	__u32 slot = (address >> 6 ^ address >> 12) % CONNECTING_MAX;

	return bpf_map_lookup_elem(&connecting, &slot);
}

/* The callback in connect(2), in the process of the client. */
static __noinline int connects(struct bpf_sock *sk)
{
	struct sock *tp = (void *)bpf_skc_to_tcp_sock(sk);
	struct connecting *slot;

	if (!tp || !sees_habits || (!all_sockets && !nonblocking(tp)))
		return 0;
	slot = connecting_at(tp);
	if (!slot)
		return 0;
	slot->sk = (__u64)tp;
	slot->seq = READ((struct tcp_sock *)tp, write_seq);
	slot->executable = executable_of(READ(current_task(), mm));
	if (learns_first())
		meet(&slot->executable, current_task());
	return 0;
}

/* NULL when the client's program is not known.
 * @first: the first sequence number that it sends with data */
static __always_inline const struct executable *executable_of_client(struct sock *sk, __u32 first)
{
	struct connecting *slot = connecting_at(sk);

	return slot && slot->sk == (__u64)sk && slot->seq + 1 == first ? &slot->executable : NULL;
}
