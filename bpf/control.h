/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What user space tells the data plane while it works. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "cast.h"
#include "types.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct control);
} control SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct instance);
} instance SEC(".maps");

/* By a number that the asker has drawn. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, struct reload_request);
} reload_requests SEC(".maps");

/* How long a process that has looked is taken to be there. */
const volatile __u64 heartbeat_jiffies = 0;

static __always_inline struct control *current_control(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&control, &zero);
}

/* A process of ours has said lately that it looks after readers. */
static __always_inline bool has_heartbeat(const struct control *now)
{
	return now->heartbeat_until > bpf_jiffies64();
}

static __always_inline int is_without_memory(void)
{
	struct control *now = current_control();

	return now && now->mode == MODE_WITHOUT_MEMORY;
}

/* Mode and epoch, as lanes note them. */
static __always_inline __u64 epoch_of(const struct control *now)
{
	return *(volatile __u64 *)now;
}

/* Everything that was decided of lanes is decided anew. User space changes the epoch as well when it changes `control`. */
static __always_inline void begin_epoch(void)
{
	struct control *now = current_control();

	if (now)
		__sync_fetch_and_add(&now->epoch, 1);
}

/* Says that a process looks after readers for the next heartbeat_jiffies. */
static __always_inline int note_heartbeat(void)
{
	struct control *now = current_control();

	if (!now)
		return 0;
	now->heartbeat_from = READ((struct task_struct *)bpf_get_current_task(), tgid);
	now->heartbeat_until = bpf_jiffies64() + heartbeat_jiffies;
	return 0;
}
