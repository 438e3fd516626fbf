/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who runs the data plane, for those who look at it from outside: mda status, mda disable, another version of mda. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "unknown_programs.h"

#define PATH_BYTES 1024

struct instance {
	__u32 pid; /* first in every version; in the PID namespace it was started in; 0: no process belongs to it */
	__u32 rules;
	__u64 started_ms; /* since 1970 */
	char layout[16]; /* a hash of what maps are like and mean: equal ones can share them */
	__u32 all_sockets;
	enum unknown_programs unknown_programs;
	char hooks[16]; /* where it can be seen how */
	char cgroup[PATH_BYTES];
	char config[PATH_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct instance);
} instance SEC(".maps");
