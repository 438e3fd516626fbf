/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What user space tells the data plane while it works. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "cast.h"

enum mode {
	MODE_REDIRECT,
	MODE_PASS, /* stopping: a direction goes over to TCP when its reader has nothing redirected unread */
	MODE_WITHOUT_MEMORY, /* the same, until TCP has memory again */
};

struct control {
	enum mode mode; /* first in every version, so that each can stop each */
	__u32 epoch; /* another number whenever what was decided of lanes may be wrong: see lane.h */
	__u32 rules_slot; /* which of the two rule sets holds */
	__u32 scan_members; /* a scan is also for sockets that are in a sockmap, all of them */
	__u64 heartbeat_until; /* jiffies; a process makes edges until then, see edges.h */
	__u64 cgroup_id; /* sockets of this cgroup and those below it can be adopted */
	__u32 heartbeat_from; /* the process that has said it last: its number in the host's PID namespace */
	__u32 all_watched; /* all hooks are attached; else those that the programs need which are CODE_WATCHED */
	__u32 learning; /* there are programs of which nothing is known */
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct control);
} control SEC(".maps");

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
