/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the running kernel can do, tried before the data plane is loaded. Each program is loaded by itself. */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/types.h>

#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "architecture.h"

char _license[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} pair SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} storages SEC(".maps");

#define FINDING(name) \
	struct { \
		__uint(type, BPF_MAP_TYPE_ARRAY); \
		__uint(max_entries, 1); \
		__type(key, __u32); \
		__type(value, __u64); \
	} name SEC(".maps")

/* What the first waiter of the sender's wait queue is called by: ep_poll_callback(), when epoll watches the sender. */
FINDING(waiter_function);
/* Where the registers of the system call are that sends, from the beginning of its task's stack. */
FINDING(registers_at);
/* 1: a storage was made for the sender, 2: bpf_sk_storage_get() gave none. */
FINDING(storage);

static __always_inline void note(void *finding, __u64 value)
{
	__u32 zero = 0;

	bpf_map_update_elem(finding, &zero, &value, BPF_ANY);
}

/* 16 KiB, 32 KiB with KASAN, a page of 64 KiB where these are (THREAD_SIZE in arch/x86/include/asm/page_64_types.h and
 * arch/arm64/include/asm/memory.h). */
#define STACK_MIN 16384u
#define STACK_MAX 65536u
/* More than there is at its top (TOP_OF_KERNEL_STACK_PADDING). */
#define PADDING_MAX 256u

static __always_inline void find_waiter(struct bpf_sock *sk)
{
	struct sock *tp = (void *)bpf_skc_to_tcp_sock(sk);
	struct list_head *first;

	if (!tp)
		return;
	first = BPF_CORE_READ(tp, sk_wq, wait.head.next);
	note(&waiter_function,
	     (__u64)BPF_CORE_READ((struct wait_queue_entry *)((void *)first -
							      bpf_core_field_offset(struct wait_queue_entry, entry)),
				  func));
}

static __always_inline bool is_sendto(struct pt_regs *regs, __u32 bytes)
{
	__u64 call = is_arm64 ? (__u32)BPF_CORE_READ(regs, syscallno) : BPF_CORE_READ(regs, orig_ax);

	return call == SYSTEM_CALL(SENDTO) && THIRD(regs) == bytes;
}

static __always_inline void find_registers(__u32 bytes)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	void *stack = BPF_CORE_READ(task, stack);

	for (__u32 size = STACK_MIN; size <= STACK_MAX; size *= 2) {
		for (__u32 padding = 0; padding < PADDING_MAX; padding += 8) {
			__u32 place = size - padding - bpf_core_type_size(struct pt_regs);

			if (is_sendto(stack + place, bytes)) {
				note(&registers_at, place);
				return;
			}
		}
	}
}

/* Redirects all to socket 1: does that charge its sk_rmem_alloc (SO_MEMINFO)? And finds what it can. */
SEC("sk_msg")
int redirect_to_one(struct sk_msg_md *msg)
{
	if (msg->sk) {
		find_waiter(msg->sk);
		note(&storage, bpf_sk_storage_get(&storages, msg->sk, 0, BPF_SK_STORAGE_GET_F_CREATE) ? 1 : 2);
	}
	find_registers(msg->size);
	bpf_msg_redirect_map(msg, &pair, 1, BPF_F_INGRESS);
	return SK_PASS;
}

/* Loads where a message can be copied. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} copies SEC(".maps");

SEC("sk_msg")
int copy_message(struct sk_msg_md *msg)
{
	__u32 bytes = 0;
	void *copy;

	bpf_probe_read_kernel(&bytes, sizeof(bytes), (void *)msg + bpf_core_field_offset(struct sk_msg, sg.data));
	if (bpf_msg_pull_data(msg, 0, 1, 0))
		return SK_PASS;
	copy = bpf_ringbuf_reserve(&copies, 8, 0);
	if (!copy)
		return SK_PASS;
	bpf_probe_read_kernel(copy, 1, msg->data);
	bpf_ringbuf_submit(copy, BPF_RB_NO_WAKEUP);
	return SK_PASS;
}

#ifndef WITHOUT_CASTS
/* Loads where an address can be made a pointer. */
SEC("sk_msg")
int cast_address(struct sk_msg_md *msg)
{
	struct tcp_sock *tp = bpf_rdonly_cast((void *)(__u64)msg->size, bpf_core_type_id_kernel(struct tcp_sock));

	return tp->write_seq ? SK_PASS : SK_DROP;
}
#endif

/* Loads where programs may look at all descriptors of all processes. */
SEC("iter/task_file")
int iterate_files(struct bpf_iter__task_file *at)
{
	return at->task ? 0 : 0;
}

/* Loads where a program at a tracepoint may use the storage of a socket. */
SEC("tp_btf/tcp_receive_reset")
int hook_reset(__u64 *arguments)
{
	struct sock *sk = (void *)arguments[0];

	return sk && bpf_sk_storage_get(&storages, sk, 0, 0) ? 0 : 0;
}
