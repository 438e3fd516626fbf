/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Readers that wait for edges (EPOLLET) and take a short read for the last: tokio, nginx. Over TCP a read is short only
 * when it has taken everything. tcp_bpf_recvmsg() returns redirected bytes alone, so with both queues filled a read is
 * short while TCP has more, whose edge is over; such a reader would wait for ever.
 *
 * So a direction goes over to TCP when its reader has nothing redirected unread, whoever wants it to. Only a reader that
 * is full cannot be waited for. It is noted in `behind`; user space looks at the map, and once the redirected bytes are
 * read makes an edge: setting SO_RCVLOWAT to what it is calls tcp_data_ready(). */
#pragma once

static __always_inline bool may_switch(const struct link *link, struct sock *reader)
{
	return link->quiet || !unread_bytes(reader);
}

static __always_inline void note_behind(__u64 cookie)
{
	struct reader nowhere = {};

	bpf_map_update_elem(&behind, &cookie, &nowhere, BPF_ANY);
}

static __always_inline void find_if_behind(struct task_struct *task, struct file *file, __u32 fd)
{
	struct socket *socket;
	struct reader *reader;
	struct sock *sk;
	__u64 cookie;

	/* A file of a socket's inode is the socket's (sock_alloc_file()); bpf_sock_from_file() needs 5.11. */
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	if (!sk)
		return;
	cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	reader = bpf_map_lookup_elem(&behind, &cookie);
	if (!reader)
		return;
	reader->unread_bytes = unread_bytes(sk);
	reader->fd = fd;
	reader->pid = BPF_CORE_READ(task, tgid);
}
