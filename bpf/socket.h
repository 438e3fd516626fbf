/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Facts about a socket, ours or the peer's, by its kernel address. */
#pragma once

#include "cast.h"

#define socket_at(address) \
	((struct sock *)(casts_addresses ? bpf_rdonly_cast((void *)(address), bpf_core_type_id_kernel(struct tcp_sock)) : \
					   (void *)(address)))

/* Also sockets in blocking mode: their reads may end early with EAGAIN (docs/limits). */
const volatile bool all_sockets = false;

/* The address of its struct file; 0 when nobody has accepted it yet, or it was closed. */
static __always_inline __u64 file_of(struct sock *sk)
{
	struct socket *socket = field(sk, sk_socket);

	return socket ? (__u64)field(socket, file) : 0;
}

static __always_inline bool is_nonblocking(__u64 address)
{
	struct file *file = cast_to(struct file, address);

	return field(file, f_flags) & O_NONBLOCK;
}

static __always_inline bool nonblocking(struct sock *sk)
{
	__u64 file = file_of(sk);

	return file && is_nonblocking(file);
}

/* kTLS, MPTCP's subflows, SMC: what they send is not what their peer's application reads. */
static __always_inline bool has_ulp(struct sock *sk)
{
	struct inet_connection_sock *icsk = (void *)sk;

	return field(icsk, icsk_ulp_ops) != NULL;
}

/* It is connected and has not shut down: else a send fails. */
static __always_inline bool may_send(struct sock *sk)
{
	__u8 state = field(sk, __sk_common.skc_state);

	return state == BPF_TCP_ESTABLISHED || state == BPF_TCP_CLOSE_WAIT;
}

/* Of a socket that is in our sockhash, or has just left it. */
static __always_inline struct sk_psock *psock_of_member(struct sock *sk)
{
	void **data = __builtin_preserve_access_index(&sk->sk_user_data);

	/* As a number: what a kernel knows of a void pointer differs. */
	return (void *)((__u64)pointer_at(data) & ~(__u64)SK_USER_DATA_FLAGS);
}

/* Of any socket: NULL when it is in no sockmap, ours or another's. sk_user_data may be KCM's, SMC's or sunrpc's, and its flag for a
 * psock is not there before 6.0. A psock begins with its socket, and so does KCM's struct; but a psock also knows which
 * struct proto the socket had before, and that one's close() (sk_psock_init()). */
static __always_inline struct sk_psock *psock_of(struct sock *sk)
{
	struct sk_psock *psock = psock_of_member(sk);
	void *close;

	if (!psock || READ(psock, sk) != sk)
		return NULL;
	close = READ(psock, saved_close);
	return close && close == READ(psock, sk_proto, close) ? psock : NULL;
}

/* Its user has given it to the kernel to do block I/O over: nbd, iSCSI. The kernel does not take its messages as a program does. */
static __always_inline bool does_block_io(struct sock *sk)
{
	return field(sk, __sk_common.skc_flags) & 1ul << bpf_core_enum_value(enum sock_flags, SOCK_MEMALLOC);
}

/* The kernel has made it, or uses it for something of its own: SMC, NFS, nbd, KCM. A BPF program's reuseport array of listeners
 * has a place in sk_user_data as well. */
static __always_inline bool is_kernels(struct sock *sk)
{
	__u64 data = (__u64)field(sk, sk_user_data);

	if (casts_addresses ? BPF_CORE_READ_BITFIELD(sk, sk_kern_sock) : BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock))
		return true;
	if (does_block_io(sk))
		return true;
	return data && !(data & SK_USER_DATA_BPF) && !psock_of(sk);
}

/* A file of a socket's inode is the socket's (sock_alloc_file()); bpf_sock_from_file() needs 5.11. */
static __always_inline struct sock *sock_of(struct file *file)
{
	struct socket *socket;

	if ((READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = READ(file, private_data);
	return READ(socket, sk);
}

/* Of a stream of IPv4 or IPv6; 0 for all else. */
static __always_inline __u16 stream_protocol(struct sock *sk)
{
	__u16 family = READ(sk, __sk_common.skc_family);

	if ((family != AF_INET && family != AF_INET6) || READ(sk, sk_type) != SOCK_STREAM)
		return 0;
	return READ(sk, sk_protocol);
}

static __always_inline bool is_tcp(struct sock *sk)
{
	return stream_protocol(sk) == IPPROTO_TCP;
}

static __always_inline bool is_mptcp_listener(struct sock *sk)
{
	return stream_protocol(sk) == IPPROTO_MPTCP && READ(sk, __sk_common.skc_state) == BPF_TCP_LISTEN;
}
