/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Memory: a redirected message is charged to its reader (bpf_tcp_ingress()), and where TCP, or the reader's cgroup, has
 * used up its memory that fails the send with ENOMEM, which no TCP sender sees. TCP itself throws segments away and sends them
 * again. So a message passes to TCP while memory is short, as __sk_mem_raise_allocated() would find it to be, and both ends leave.
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
/* More than the largest message takes (MAX_MSG_FRAGS of 32 KiB). */
#define FILE_PAGES_ENOUGH 1024

/* More than all CPUs take in a jiffy: with so much left a cgroup is looked at once in that time. */
#define PLENTY_PAGES 16384
/* Larger ones do not share what is found in a jiffy. */
#define LARGE_BYTES 4096

enum memory {
	MEMORY_SHORT,
	MEMORY_ENOUGH,
	MEMORY_PLENTY,
};

/* Below the lowest of its limits TCP gives memory to whoever asks (__sk_mem_raise_allocated()): the short answer. */
static __always_inline bool tcp_has_plenty(struct sock *reader, long pages)
{
	struct proto *prot = field(reader, __sk_common.skc_prot);

	return (long)pointer_at(field(prot, memory_allocated)) + pages + TCP_BATCH_PAGES <= (long)pointer_at(field(prot, sysctl_mem));
}

/* All of TCP's. What a CPU has taken and given back is added to the sum in batches, so the sum may be too small, and below 0; a message's
 * pages may be those with which a batch is added. Under pressure the kernel then refuses a reader that has more than the least. */
static __always_inline bool tcp_memory_is_short(struct sock *reader, long pages)
{
	struct proto *prot = field(reader, __sk_common.skc_prot);
	long after = (long)pointer_at(field(prot, memory_allocated)) + pages + TCP_BATCH_PAGES;
	long *limits = field(prot, sysctl_mem);

	return pointer_at(field(prot, memory_pressure)) || after > (long)pointer_at(limits + 1) || after > (long)pointer_at(limits + 2);
}

/* Pages of files in the cgroup, which make room when they are needed. Those of the first node of memory; 0 where they are not known. */
static __noinline long file_pages(struct mem_cgroup *memcg)
{
	struct mem_cgroup_per_node *node = NULL;
	struct mem_cgroup_per_node___nested *nested = NULL;
	unsigned long sizes[NR_LRU_LISTS] = {};
	__u32 offset, bytes;
	long pages = 0;

	if (bpf_core_field_exists(node->lru_zone_size)) {
		offset = bpf_core_field_offset(struct mem_cgroup_per_node, lru_zone_size);
		bytes = bpf_core_field_size(node->lru_zone_size);
	} else if (bpf_core_field_exists(nested->lru_zone_size)) {
		offset = bpf_core_field_offset(struct mem_cgroup_per_node___nested, lru_zone_size);
		bytes = bpf_core_field_size(nested->lru_zone_size);
	} else {
		return 0;
	}
	bpf_probe_read_kernel(&node, sizeof(node), __builtin_preserve_access_index(&memcg->nodeinfo));
	if (!node)
		return 0;
	for (__u32 i = 0; i < ZONES_MAX && i < bytes / sizeof(sizes); i++) {
		bpf_probe_read_kernel(sizes, sizeof(sizes), (void *)node + offset + i * sizeof(sizes));
		pages += sizes[LRU_INACTIVE_FILE] + sizes[LRU_ACTIVE_FILE];
	}
	return pages;
}

/* That of the cgroup that pays for the socket, or of one above it. */
static __noinline enum memory memory_of_cgroup(struct sock *reader, long pages)
{
	struct page_counter *counter;
	struct mem_cgroup *memcg;
	long left = PLENTY_PAGES;
	bool is_for_tcp;

	memcg = (void *)((__u64)BPF_CORE_READ(reader, sk_memcg) & ~MEMCG_FLAGS);
	/* cgroup v1 has a limit for this alone, and charges nothing where none is set. */
	is_for_tcp = bpf_core_field_exists(memcg->tcpmem_active) && READ(memcg, tcpmem_active);
	if (is_for_tcp)
		counter = __builtin_preserve_access_index(&memcg->tcpmem);
	else
		counter = __builtin_preserve_access_index(&memcg->memory);
	for (int i = 0; i < CGROUPS_MAX && counter && left >= pages + CGROUP_BATCH_PAGES; i++) {
		long room = (long)READ(counter, max) - READ(counter, usage.counter);

		if (room < left)
			left = room;
		counter = READ(counter, parent);
	}
	/* Full of what has been read from files, as most are: there is room for a message. */
	if (left < pages + CGROUP_BATCH_PAGES) {
		left = is_for_tcp ? 0 : file_pages(memcg);
		if (left < FILE_PAGES_ENOUGH)
			return MEMORY_SHORT;
	}
	return left < PLENTY_PAGES ? MEMORY_ENOUGH : MEMORY_PLENTY;
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

/* Whether there is enough for the message, which must not be redirected otherwise. TCP's is looked at for each: tcp_mem may be lowered, and
 * the look is a few loads. What the reader has set aside (sk_forward_alloc) does not count: it gives that back when it reads, as it may
 * before the message is charged.
 *
 * @address: the reader's. Not static: the verifier looks at it once.
 * @has_plenty: its cgroup has, as was found in this jiffy */
__noinline int memory_for(__u64 address, __u32 bytes, __u32 has_plenty)
{
	struct sock *reader = socket_at(address);
	long pages = (bytes >> PAGE_BITS) + 1;

	if (tcp_memory_is_short(reader, pages))
		return MEMORY_SHORT;
	if (has_plenty || !bpf_core_field_exists(reader->sk_memcg) || !field(reader, sk_memcg))
		return MEMORY_PLENTY;
	return memory_of_cgroup(reader, pages);
}

/* @seen: lane's memory_seen, which is set anew
 * @address: the reader's */
static __always_inline bool memory_is_short(__u32 *seen, __u64 address, __u32 bytes, __u32 jiffies)
{
	bool has_plenty = bytes < LARGE_BYTES && *seen == jiffies;
	int memory;

	if (has_plenty && tcp_has_plenty(socket_at(address), 1))
		return false;
	memory = memory_for(address, bytes, has_plenty);
	if (memory == MEMORY_PLENTY)
		*seen = jiffies;
	return memory == MEMORY_SHORT;
}
