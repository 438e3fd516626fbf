/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the process is woken for. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "types.h"

/* Without a process it fills up, and nobody minds. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} events SEC(".maps");

/* Not inlined: BTF, and so TypeScript, knows structs that functions take. */
static __noinline int report(struct event *event)
{
	return bpf_ringbuf_output(&events, event, sizeof(*event), 0);
}
