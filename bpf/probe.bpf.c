/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the running kernel can do, tried before the data plane is loaded. Each program is loaded by itself. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "kernel.h"

char _license[] SEC("license") = "Dual BSD/GPL";

extern void *bpf_rdonly_cast(const void *address, __u32 btf_id) __ksym __weak;

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} pair SEC(".maps");

/* Redirects all to socket 1: does that charge its sk_rmem_alloc (SO_MEMINFO)? */
SEC("sk_msg")
int redirect_to_one(struct sk_msg_md *msg)
{
	bpf_msg_redirect_map(msg, &pair, 1, BPF_F_INGRESS);
	return SK_PASS;
}

/* Loads where an address can be made a pointer. */
SEC("sk_msg")
int cast_address(struct sk_msg_md *msg)
{
	struct tcp_sock *tp = bpf_rdonly_cast((void *)(__u64)msg->size, bpf_core_type_id_kernel(struct tcp_sock));

	return tp->write_seq ? SK_PASS : SK_DROP;
}
