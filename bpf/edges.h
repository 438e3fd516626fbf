/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Readers that wait for edges (EPOLLET) and take a short read for the last: tokio, nginx. Over TCP a read is short only
 * when it has taken everything. tcp_bpf_recvmsg() returns redirected bytes alone, so with both queues filled a read is
 * short while TCP has more, whose edge is over; such a reader would wait for ever.
 *
 * So a direction goes over to TCP when its reader has nothing redirected unread, whoever wants it to. Only a reader that
 * is full cannot be waited for. It is noted in `edges_wanted`; user space looks at the map, and once the redirected bytes are
 * read makes an edge: setting SO_RCVLOWAT to what it is calls tcp_data_ready(). Where no process of ours looks, nothing is
 * redirected but to readers that are known to wait otherwise. */
#pragma once

#include "flow.h"
#include "socket.h"
#include "task.h"

#define EDGES_MAX 1024

/* Who needs an edge, and when. */
enum edge_time {
	EDGE_WHEN_READ, /* it was full: once its redirected bytes are read */
	EDGE_AT_ONCE, /* it has asked how much is unread, and was told less than there is */
};

/* A reader that could not take more redirected bytes, and where it was last seen. */
struct reader {
	__u32 pid; /* in the PID namespace of who looks; 0 until it is looked for */
	__u32 fd;
	__u64 unread_bytes; /* redirected to it */
	__u32 at_once; /* it needs an edge although it has redirected bytes unread */
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, EDGES_MAX);
	__type(key, __u64);
	__type(value, enum edge_time);
} edges_wanted SEC(".maps");

/* Cookies of readers that user space looks for. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, EDGES_MAX);
	__type(key, __u64);
	__type(value, struct reader);
} readers SEC(".maps");

static __always_inline void want_edge(__u64 cookie, enum edge_time how)
{
	bpf_map_update_elem(&edges_wanted, &cookie, &how, BPF_ANY);
}

static __always_inline void find_if_wanted(struct task_struct *task, struct file *file, __u32 fd)
{
	struct sock *sk = sock_of(file);
	struct reader *reader;
	__u64 cookie;

	if (!sk)
		return;
	cookie = READ(sk, __sk_common.skc_cookie.counter);
	reader = bpf_map_lookup_elem(&readers, &cookie);
	if (!reader)
		return;
	reader->unread_bytes = unread_bytes(sk);
	reader->fd = fd;
	reader->pid = visible_pid(task);
}
