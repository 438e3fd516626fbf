/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The sockmap data plane as tutorials have it, to compare with: every established socket enters the sockhash under its
 * 4-tuple, and what one end sends is redirected whenever the other end is in there. IPv4. */
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define AF_INET 2

char _license[] SEC("license") = "Dual BSD/GPL";

struct tuple {
	__u32 local_ip;
	__u32 remote_ip;
	__u32 local_port; /* host order */
	__u32 remote_port;
};

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 65536);
	__type(key, struct tuple);
	__type(value, __u64);
} sockets SEC(".maps");

SEC("sockops")
int follow(struct bpf_sock_ops *ops)
{
	struct tuple key = { ops->local_ip4, ops->remote_ip4, ops->local_port, bpf_ntohl(ops->remote_port) };

	if (ops->family == AF_INET && (ops->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB ||
				       ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB))
		bpf_sock_hash_update(ops, &sockets, &key, BPF_ANY);
	return 1;
}

SEC("sk_msg")
int redirect(struct sk_msg_md *msg)
{
	struct tuple key = { msg->remote_ip4, msg->local_ip4, bpf_ntohl(msg->remote_port), msg->local_port };

	bpf_msg_redirect_hash(msg, &sockets, &key, BPF_F_INGRESS);
	return SK_PASS;
}
