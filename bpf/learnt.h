/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel's side has learnt, for the process to look at. */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* Changed by the BPF programs alone. */
struct learnt {
	__u32 habits_changed; /* how often what is known of a program has */
	__u32 programs_found; /* how often one was seen for the first time */
	__u32 sockets_leaving; /* how often one was put into `leaving`, which takes long to look through */
	__u32 pad;
	__u64 tcp_prot; /* kernel address of a struct proto of TCP, which knows TCP's memory; 0: no socket has entered yet */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct learnt);
} learnt SEC(".maps");

static __always_inline struct learnt *all_learnt(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&learnt, &zero);
}
