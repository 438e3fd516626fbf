/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The memory rule: a redirected message is charged to its reader (bpf_tcp_ingress()), and where TCP, or the reader's cgroup, has
 * used up its memory that fails the send with ENOMEM, which no TCP sender sees. TCP itself throws segments away and sends them
 * again. So a message that needs more than its reader has set aside passes to TCP while memory is short, as
 * __sk_mem_raise_allocated() would find it to be, and both ends leave.
 *
 * A sender needs memory before the verdict (sk_msg_alloc()). TCP gives some to a socket that has nothing queued, however little there is
 * (tcp_wmem_schedule()), so that it goes on; tcp_bpf_sendmsg() says EAGAIN, and with nothing on its way nobody would ever tell the
 * program to try again. So once TCP has none at all the process has all sockets leave, and wakes those that are stuck. */
#pragma once

/* What a CPU takes at once from TCP's memory, in pages of 4 KiB (SK_MEMORY_PCPU_RESERVE), and from a cgroup's
 * (MEMCG_CHARGE_BATCH). */
#define TCP_BATCH_PAGES 256
#define CGROUP_BATCH_PAGES 64
#define CGROUPS_MAX 16
#define PAGE_BITS 12
/* Flags, in the lowest bits of sk_memcg on some kernels. */
#define MEMCG_FLAGS 7ul

static __always_inline bool needs_memory(struct sock *reader, __u32 bytes)
{
	return (int)bytes > field(reader, sk_forward_alloc);
}

/* All of TCP's. */
static __always_inline bool tcp_memory_is_short(struct sock *reader, long pages)
{
	struct proto *prot = BPF_CORE_READ(reader, __sk_common.skc_prot);
	long allocated = BPF_CORE_READ(prot, memory_allocated, counter);
	unsigned long pressure = 0;
	long limits[3] = {};

	bpf_probe_read_kernel(&pressure, sizeof(pressure), BPF_CORE_READ(prot, memory_pressure));
	bpf_probe_read_kernel(limits, sizeof(limits), BPF_CORE_READ(prot, sysctl_mem));
	return pressure || allocated >= limits[1] || allocated + pages + TCP_BATCH_PAGES > limits[2];
}

/* That of the cgroup that pays for the socket, or of one above it. */
static __always_inline bool cgroup_memory_is_short(struct sock *reader, long pages)
{
	struct page_counter *counter;
	struct mem_cgroup *memcg;

	if (!bpf_core_field_exists(reader->sk_memcg))
		return false;
	memcg = (void *)((__u64)BPF_CORE_READ(reader, sk_memcg) & ~MEMCG_FLAGS);
	if (!memcg)
		return false;
	counter = __builtin_preserve_access_index(&memcg->memory);
	/* cgroup v1 has a limit for this alone, and charges nothing where none is set. */
	if (bpf_core_field_exists(memcg->tcpmem_active) && BPF_CORE_READ(memcg, tcpmem_active))
		counter = __builtin_preserve_access_index(&memcg->tcpmem);
	for (int i = 0; i < CGROUPS_MAX && counter; i++) {
		if (BPF_CORE_READ(counter, usage.counter) + pages + CGROUP_BATCH_PAGES > (long)BPF_CORE_READ(counter, max))
			return true;
		counter = BPF_CORE_READ(counter, parent);
	}
	return false;
}

/* The process looks so often, by what sockets have shown: TCP's counters have no names that BPF knows. */
static __always_inline void remember_tcp(struct sock *sk)
{
	struct learnt *learnt = all_learnt();

	if (learnt && !learnt->tcp_prot)
		learnt->tcp_prot = (__u64)BPF_CORE_READ(sk, __sk_common.skc_prot);
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
	bpf_probe_read_kernel(limits, sizeof(limits), BPF_CORE_READ(prot, sysctl_mem));
	return BPF_CORE_READ(prot, memory_allocated, counter) > limits[2] - (limits[2] >> 4);
}

static __always_inline bool is_stuck(struct sock *sk)
{
	struct tcp_sock *tp = (void *)sk;

	return BPF_CORE_READ(sk, sk_socket, flags) & 1ul << SOCK_NOSPACE && BPF_CORE_READ(tp, write_seq) == BPF_CORE_READ(tp, snd_una);
}

static __noinline int memory_is_short(struct sock *reader, __u32 bytes)
{
	long pages = (bytes >> PAGE_BITS) + 1;

	return tcp_memory_is_short(reader, pages) || cgroup_memory_is_short(reader, pages);
}
