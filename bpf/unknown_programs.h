/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What becomes of programs whose habits are not known (habits.h): what the configuration says, and a reload may change. */
#pragma once

#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "instance.h"

static __always_inline enum unknown_programs unknown_programs(void)
{
	__u32 zero = 0;
	const struct instance *ours = bpf_map_lookup_elem(&instance, &zero);

	return ours ? ours->unknown_programs : UNKNOWN_STRICT;
}

/* A program has to be known before anything is redirected to it. */
static __always_inline bool learns_first(void)
{
	return unknown_programs() != UNKNOWN_FAST;
}
