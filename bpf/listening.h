/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which program listens on a socket: it is who receives from those that are accepted, until they show another when they send. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "executable.h"

#define LISTENING_MAX 4096

struct listening {
	__u64 inode; /* the socket's: its kernel address may have become another's */
	struct executable executable;
};

/* By the listener's kernel address. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LISTENING_MAX);
	__type(key, __u64);
	__type(value, struct listening);
} listening SEC(".maps");

static __noinline int remember_listener(struct sock *sk, const struct executable *executable)
{
	struct socket_alloc *alloc = (void *)READ(sk, sk_socket);
	struct listening value = {};
	__u64 address = (__u64)sk;

	if (!alloc || !is_known(executable))
		return 0;
	value.inode = READ(alloc, vfs_inode.i_ino);
	value.executable = *executable;
	bpf_map_update_elem(&listening, &address, &value, BPF_ANY);
	return 1;
}

static __always_inline struct executable executable_of_listener(struct sock *sk)
{
	struct socket_alloc *alloc = (void *)READ(sk, sk_socket);
	struct executable unknown = {};
	__u64 address = (__u64)sk;
	struct listening *found = bpf_map_lookup_elem(&listening, &address);

	if (!alloc || !found || found->inode != READ(alloc, vfs_inode.i_ino))
		return unknown;
	return found->executable;
}
