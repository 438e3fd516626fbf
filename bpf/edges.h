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

#include "events.h"
#include "flow.h"
#include "lane.h"
#include "socket.h"
#include "task.h"
#include "waiters.h"

/* Readers that can be behind at once: no more connections than that have a full reader. */
#define BEHIND_MAX 65536
#define MISCOUNTED_MAX 1024

/* A reader that could not take more redirected bytes, and where it was last seen. */
struct reader {
	__u32 pid; /* in the PID namespace of who looks; 0 when no process has a descriptor of it */
	__u32 fd;
	__u64 unread_bytes; /* redirected to it */
	__u32 at_once; /* it needs an edge although it has redirected bytes unread: see edges_at_once */
	__u32 lives; /* without a descriptor: nobody has accepted it yet, or it is on its way to another process (SCM_RIGHTS) */
};

/* Cookies of readers that were full, and need an edge once their redirected bytes are read. None may be lost: it has no LRU. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BEHIND_MAX);
	__type(key, __u64);
	__type(value, __u32);
} edges_wanted SEC(".maps");

/* Of those that have asked how much is unread, and were told less than there is. A program at a tracepoint writes it, which takes a map that
 * is made beforehand. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MISCOUNTED_MAX);
	__type(key, __u64);
	__type(value, __u32);
} edges_at_once SEC(".maps");

/* Cookies of readers that user space looks for. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BEHIND_MAX);
	__type(key, __u64);
	__type(value, struct reader);
} readers SEC(".maps");

/* What the process asks, and the answer. */
struct behind {
	__u64 unread_bytes;
	__u64 unused;
	__u64 key; /* a reader's, in the sockhash */
};

/* How much a reader has unread of what was redirected. One that has left the sockhash has nothing. */
static __noinline int look_at_reader(struct behind *behind)
{
	__u64 key = behind->key;
	struct bpf_sock *sk = bpf_map_lookup_elem(&sockets, &key);
	struct sock *tp;

	behind->unread_bytes = 0;
	if (!sk)
		return 0;
	tp = (void *)bpf_skc_to_tcp_sock(sk);
	if (tp)
		behind->unread_bytes = unread_bytes(tp);
	bpf_sk_release(sk);
	return 0;
}

/* Who is known to wait otherwise needs no edge soon; one that is watched for nothing yet may. False when there is no room to note it. */
static __always_inline bool want_edge(const struct end *reader)
{
	struct event event = { .kind = EVENT_BEHIND, .cookie = reader->cookie, .inode = reader->key, .fd = -1 };
	__u64 cookie = reader->cookie;
	__u32 one = 1;

	if (bpf_map_lookup_elem(&edges_wanted, &cookie))
		return true;
	if (bpf_map_update_elem(&edges_wanted, &cookie, &one, BPF_ANY))
		return false;
	if (!peer_is_watched_by_level(reader->tcp_sock))
		report(&event);
	return true;
}

static __always_inline void want_edge_at_once(__u64 cookie)
{
	__u32 one = 1;

	bpf_map_update_elem(&edges_at_once, &cookie, &one, BPF_ANY);
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

/* A socket is dead once it is closed (sock_orphan()). */
static __always_inline void note_if_wanted(struct sock *sk)
{
	__u64 cookie = READ(sk, __sk_common.skc_cookie.counter);
	struct reader *reader = bpf_map_lookup_elem(&readers, &cookie);

	if (reader)
		reader->lives = !(READ(sk, __sk_common.skc_flags) & 1ul << bpf_core_enum_value(enum sock_flags, SOCK_DEAD));
}
