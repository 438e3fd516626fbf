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

/* What the first waiter of the sender's wait queue is called by: ep_poll_callback(), when epoll watches the sender. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} waiter_function SEC(".maps");

static __always_inline void learn_waiter(struct bpf_sock *sk)
{
	struct sock *tp = (void *)bpf_skc_to_tcp_sock(sk);
	struct list_head *first;
	__u32 zero = 0;
	__u64 function;

	if (!tp)
		return;
	first = BPF_CORE_READ(tp, sk_wq, wait.head.next);
	function = (__u64)BPF_CORE_READ(
		(struct wait_queue_entry *)((void *)first - bpf_core_field_offset(struct wait_queue_entry, entry)), func);
	bpf_map_update_elem(&waiter_function, &zero, &function, BPF_ANY);
}

/* Redirects all to socket 1: does that charge its sk_rmem_alloc (SO_MEMINFO)? */
SEC("sk_msg")
int redirect_to_one(struct sk_msg_md *msg)
{
	if (msg->sk)
		learn_waiter(msg->sk);
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

/* Loads where programs may look at all descriptors of all processes. */
SEC("iter/task_file")
int iterate_files(struct bpf_iter__task_file *at)
{
	return at->task ? 0 : 0;
}
