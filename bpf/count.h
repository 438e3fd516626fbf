/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

static __always_inline struct counters *this_cpu(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

/* Plain additions: programs interrupt each other on a CPU, so one in millions may be lost, and an atomic costs every
 * message some 10 ns. */
#define count(field, amount)                                        \
	({                                                          \
		struct counters *mine = this_cpu();                 \
		if (mine)                                           \
			mine->field += amount;               \
	})

static __always_inline void count_redirected(__u64 bytes)
{
	struct counters *mine = this_cpu();

	if (!mine)
		return;
	mine->redirected_messages += 1;
	mine->redirected_bytes += bytes;
}
