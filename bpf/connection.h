/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The ends of a connection, and whose they are: what rules ask about. */
#pragma once

#include <bpf/bpf_endian.h>
#include "cast.h"

struct endpoint {
	__u8 family; /* 4 or 6; an IPv4-mapped address is 4 */
	__u8 pad;
	__u16 port; /* host order */
	__u8 address[16]; /* network order; IPv4 in the first four */
};

struct owner {
	__u32 uid;
	__u32 gid;
};

/* NAT gives an end two names: its own view and its peer's. */
struct connection {
	struct endpoint client[2];
	struct endpoint server[2];
	struct owner client_owner;
	struct owner server_owner;
};

/* The fsuid and fsgid of whoever called socket(2) (sock_alloc(), net/socket.c), which is what iptables' owner match
 * compares; fchown(2) on the socket changes it. An accepted socket's owner is its listener's: nobody has accepted it yet. */
static __always_inline struct owner owner_of(struct sock *sk)
{
	struct socket_alloc *alloc = (void *)READ(sk, sk_socket);
	struct owner owner = { ~0u, ~0u };

	if (alloc) {
		owner.uid = READ(alloc, vfs_inode.i_uid.val);
		owner.gid = READ(alloc, vfs_inode.i_gid.val);
	}
	return owner;
}

static __always_inline void endpoint_address(struct endpoint *end, __u16 family, __be32 v4, const struct in6_addr *v6)
{
	__u32 *words = (__u32 *)end->address;
	__u8 bytes[16] = {};

	end->family = 4;
	*words = v4;
	if (family != AF_INET6)
		return;
	bpf_probe_read_kernel(bytes, sizeof(bytes), v6);
	words = (__u32 *)bytes;
	if (!words[0] && !words[1] && words[2] == bpf_htonl(0xffff))
		return; /* IPv4-mapped: skc_daddr and skc_rcv_saddr hold it too */
	end->family = 6;
	__builtin_memcpy(end->address, bytes, sizeof(bytes));
}

static __always_inline void local_endpoint(struct sock_common *sk, struct endpoint *end)
{
	endpoint_address(end, READ(sk, skc_family), READ(sk, skc_rcv_saddr),
			 __builtin_preserve_access_index(&sk->skc_v6_rcv_saddr));
	end->port = READ(sk, skc_num);
}

static __always_inline void remote_endpoint(struct sock_common *sk, struct endpoint *end)
{
	endpoint_address(end, READ(sk, skc_family), READ(sk, skc_daddr),
			 __builtin_preserve_access_index(&sk->skc_v6_daddr));
	end->port = bpf_ntohs(READ(sk, skc_dport));
}
