/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* SYN cookies. A SYN that is answered with a cookie leaves no request behind that knows its listener, and the callback
 * that shows other SYNs (RWND_INIT) does not come: sk_to_full_sk() finds no socket whose cgroup it could run for. But a
 * listener may ask to see the options of the SYN-ACKs that it sends, and those with a cookie then show (HDR_OPT_LEN_CB).
 * Only listeners in a namespace with net.ipv4.tcp_syncookies=2 ask: elsewhere cookies mean a flood, and in a flood plain
 * TCP will do. Accepted sockets inherit the wish, for every segment they send, and give it up at once. */
#pragma once

#include "connection.h"
#include "executable.h"
#include "habits.h"
#include "listening.h"
#include "socket.h"
#include "task.h"

#define LISTENERS_MAX 1024

/* Where a listener is, as a SYN that asks for it has it. */
struct listening_at {
	__u64 net;
	struct endpoint local;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LISTENERS_MAX);
	__type(key, struct listening_at);
	__type(value, __u64); /* kernel address */
} listeners SEC(".maps");

static __always_inline struct net *net_of(struct sock_common *sk)
{
	return READ(sk, skc_net.net);
}

static __noinline int started_to_listen(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct sock *tp = (void *)bpf_skc_to_tcp_sock(sk);
	struct sock_common *common = (void *)tp;
	struct listening_at key = {};
	__u64 address = (__u64)tp;
	struct executable executable;

	if (!tp)
		return 0;
	executable = executable_of(READ(current_task(), mm));
	meet(&executable, current_task());
	remember_listener(tp, &executable);
	if (READ(net_of(common), ipv4.sysctl_tcp_syncookies) != 2)
		return 0;
	key.net = (__u64)net_of(common);
	local_endpoint(common, &key.local);
	bpf_map_update_elem(&listeners, &key, &address, BPF_ANY);
	bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
	return 0;
}

static __always_inline bool listens_at(__u64 listener, const struct listening_at *key)
{
	struct sock_common *sk = (void *)listener;

	return READ(sk, skc_state) == BPF_TCP_LISTEN && READ(sk, skc_num) == key->local.port &&
	       (__u64)net_of(sk) == key->net;
}

/* The listener that has sent a cookie to a request: at its address, at any, or at any of both families. */
static __always_inline struct sock *listener_behind(struct sock_common *request)
{
	struct listening_at key = {};
	__u64 *found;

	key.net = (__u64)net_of(request);
	local_endpoint(request, &key.local);
	for (int i = 0; i < 3; i++) {
		found = bpf_map_lookup_elem(&listeners, &key);
		if (found && listens_at(*found, &key))
			return (void *)*found;
		__builtin_memset(key.local.address, 0, sizeof(key.local.address));
		if (i)
			key.local.family = 6;
	}
	return NULL;
}

/* Of an accepted socket. Elsewhere another program has asked for them. */
static __always_inline void give_up_header_options(struct bpf_sock_ops *ops, struct sock *sk)
{
	if (ops->bpf_sock_ops_cb_flags & BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG &&
	    READ(net_of((void *)sk), ipv4.sysctl_tcp_syncookies) == 2)
		bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags & ~BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
}
