/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Readers that wait for edges (EPOLLET) and take a short read for the last: tokio, nginx. Over TCP a read is short only
 * when it has taken everything. tcp_bpf_recvmsg() returns redirected bytes alone, so with both queues filled a read is
 * short while TCP has more, whose edge is over; such a reader would wait for ever.
 *
 * So a direction goes over to TCP when its reader has nothing redirected unread, whoever wants it to. Only a reader that
 * is full cannot be waited for. It is noted in `behind`; user space looks at the map, and once the redirected bytes are
 * read makes an edge: setting SO_RCVLOWAT to what it is calls tcp_data_ready(). Where no process of ours looks, nothing is
 * redirected but to readers that are known to wait otherwise. */
#pragma once

/* How long a process that has looked is taken to be there. */
const volatile __u64 tended_jiffies = 0;

static __always_inline bool may_switch(const struct link *link, struct sock *reader)
{
	return link->quiet || !unread_bytes_of_member(reader);
}

static __always_inline void note_behind(__u64 cookie, enum behind how)
{
	bpf_map_update_elem(&behind, &cookie, &how, BPF_ANY);
}

/* A process of ours has said lately that it looks at `behind`. */
static __always_inline bool is_tended(const struct control *now)
{
	return now->tended_until > bpf_jiffies64();
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
