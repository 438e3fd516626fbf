/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel's side has learnt, for the process to look at. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "types.h"

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
