/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Memory: a redirected message is charged to its reader (bpf_tcp_ingress()), and where TCP, or the reader's cgroup, has
 * used up its memory that fails the send with ENOMEM, which no TCP sender sees. TCP itself throws segments away and sends them
 * again. So a message that needs more than its reader has set aside passes to TCP while memory is short, as
 * __sk_mem_raise_allocated() would find it to be, and both ends leave.
 *
 * A sender needs memory before the verdict (sk_msg_alloc()). TCP gives some to a socket that has nothing queued, however little there is
 * (tcp_wmem_schedule()), so that it goes on; tcp_bpf_sendmsg() says EAGAIN, and with nothing on its way nobody would ever tell the
 * program to try again. So once TCP has none at all the process has all sockets leave, and wakes those that are stuck. */
#pragma once

#include "lane.h"
#include "learnt.h"
#include "socket.h"

/* What a CPU takes at once from TCP's memory, in pages of 4 KiB (SK_MEMORY_PCPU_RESERVE), and from a cgroup's
 * (MEMCG_CHARGE_BATCH). */
#define TCP_BATCH_PAGES 256
#define CGROUP_BATCH_PAGES 64
#define CGROUPS_MAX 16
#define PAGE_BITS 12
/* Flags, in the lowest bits of sk_memcg on some kernels. */
#define MEMCG_FLAGS 7ul
#define NR_LRU_LISTS 5
#define LRU_INACTIVE_FILE 2
#define LRU_ACTIVE_FILE 3
#define ZONES_MAX 6
#define FILE_PAGES_ENOUGH 1024

/* Smaller ones share what is found in a jiffy: a page or so each cannot take a batch in that time. */
#define LARGE_BYTES 4096

/* Most often nothing is set aside when the reader's queue is empty (sk_mem_uncharge()), so this has to be cheap. */
static __always_inline bool is_memory_to_be_looked_at(const struct lane *lane, struct sock *reader, __u32 bytes, __u32 jiffies)
{
	return (int)bytes > field(reader, sk_forward_alloc) && (bytes >= LARGE_BYTES || lane->memory_seen != jiffies);
}

/* All of TCP's. */
static __always_inline bool tcp_memory_is_short(struct sock *reader, long pages)
{
	struct proto *prot = field(reader, __sk_common.skc_prot);
	long allocated = (long)pointer_at(field(prot, memory_allocated));
	long *limits = field(prot, sysctl_mem);

	return pointer_at(field(prot, memory_pressure)) || allocated >= (long)pointer_at(limits + 1) ||
	       allocated + pages + TCP_BATCH_PAGES > (long)pointer_at(limits + 2);
}

/* Pages of files in the cgroup, which make room when they are needed. Those of the first node of memory. */
static __noinline long file_pages(struct mem_cgroup *memcg)
{
	struct mem_cgroup_per_node *node = NULL;
	unsigned long sizes[NR_LRU_LISTS] = {};
	__u32 zones = bpf_core_field_size(node->lru_zone_size) / sizeof(sizes);
	long pages = 0;

	bpf_probe_read_kernel(&node, sizeof(node), __builtin_preserve_access_index(&memcg->nodeinfo));
	if (!node)
		return 0;
	for (__u32 i = 0; i < ZONES_MAX && i < zones; i++) {
		bpf_probe_read_kernel(sizes, sizeof(sizes), (void *)node + bpf_core_field_offset(struct mem_cgroup_per_node, lru_zone_size) + i * sizeof(sizes));
		pages += sizes[LRU_INACTIVE_FILE] + sizes[LRU_ACTIVE_FILE];
	}
	return pages;
}

/* That of the cgroup that pays for the socket, or of one above it. */
static __noinline int cgroup_memory_is_short(struct sock *reader, long pages)
{
	struct page_counter *counter;
	struct mem_cgroup *memcg;
	bool is_short = false;

	memcg = (void *)((__u64)BPF_CORE_READ(reader, sk_memcg) & ~MEMCG_FLAGS);
	/* cgroup v1 has a limit for this alone, and charges nothing where none is set. */
	if (bpf_core_field_exists(memcg->tcpmem_active) && READ(memcg, tcpmem_active))
		counter = __builtin_preserve_access_index(&memcg->tcpmem);
	else
		counter = __builtin_preserve_access_index(&memcg->memory);
	for (int i = 0; i < CGROUPS_MAX && counter && !is_short; i++) {
		is_short = READ(counter, usage.counter) + pages + CGROUP_BATCH_PAGES > (long)READ(counter, max);
		counter = READ(counter, parent);
	}
	if (!is_short || (bpf_core_field_exists(memcg->tcpmem_active) && READ(memcg, tcpmem_active)))
		return is_short;
	/* Full of what has been read from files, as most are: there is room for a message. */
	return file_pages(memcg) < FILE_PAGES_ENOUGH;
}

/* The process looks so often, by what sockets have shown: TCP's counters have no names that BPF knows. */
static __noinline int remember_tcp(struct sock *sk)
{
	struct learnt *learnt = all_learnt();

	if (!learnt || learnt->tcp_prot)
		return 0;
	learnt->tcp_prot = (__u64)READ(sk, __sk_common.skc_prot);
	return 1;
}

/* Not a sixteenth is left. */
static __always_inline bool tcp_memory_is_used_up(void)
{
	struct learnt *learnt = all_learnt();
	long limits[3] = {};
	struct proto *prot;

	if (!learnt || !learnt->tcp_prot)
		return false;
	prot = (void *)learnt->tcp_prot;
	bpf_probe_read_kernel(limits, sizeof(limits), READ(prot, sysctl_mem));
	return READ(prot, memory_allocated, counter) > limits[2] - (limits[2] >> 4);
}

static __always_inline bool is_stuck(struct sock *sk)
{
	struct tcp_sock *tp = (void *)sk;

	return READ(sk, sk_socket, flags) & 1ul << SOCK_NOSPACE && READ(tp, write_seq) == READ(tp, snd_una);
}

/* Whether the message must not be redirected. */
/* @address: the reader's. Not static: the verifier looks at it once. */
__noinline int memory_is_short(__u64 address, __u32 bytes)
{
	struct sock *reader = socket_at(address);
	long pages = (bytes >> PAGE_BITS) + 1;

	if (tcp_memory_is_short(reader, pages))
		return true;
	return bpf_core_field_exists(reader->sk_memcg) && field(reader, sk_memcg) && cgroup_memory_is_short(reader, pages);
}
