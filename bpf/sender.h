/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The programs at both ends of a lane when a message is sent: who sends, who receives, and what they are known to do. */
#pragma once

#include "cast.h"
#include "control.h"
#include "executable.h"
#include "habits.h"
#include "lane.h"
#include "learnt.h"
#include "unknown_programs.h"

/* Who sends is who receives, or will soon show to be another: its process has another memory. */
static __always_inline void find_sender(struct found *found, const struct lane *lane, struct task_struct *task, const struct control *now)
{
	struct mm_struct *mm = field(task, mm);

	found->mm = (__u64)mm;
	/* A process of ours sends in the name of another: handover.h. */
	found->is_new_sender = mm && found->mm != lane->mm && bpf_get_current_pid_tgid() >> 32 != now->heartbeat_from;
	if (!found->is_new_sender)
		return;
	found->executable = executable_of(mm);
	found->is_other_executable = !same_executable(&found->executable, &lane->executable);
}

/* What the programs at both ends do. */
static __always_inline void find_habits(struct found *found, const struct lane *lane)
{
	struct learnt *learnt = all_learnt();
	struct executable peer;
	struct program *program;

	found->own_habit = lane->own_habit;
	found->peer_habit = lane->peer_habit;
	found->peer_can_splice = lane->peer_can_splice;
	found->habits_seen = learnt ? learnt->habits_changed : lane->habits_seen;
	if (found->is_other_executable)
		found->own_habit = habit_of(&found->executable);
	if (found->habits_seen == lane->habits_seen && lane->peer_executables == found->notice.executables)
		return;
	if (!found->is_other_executable)
		found->own_habit = habit_of(&lane->executable);
	bpf_probe_read_kernel(&peer, sizeof(peer), (void *)found->peer.lane + offsetof(struct lane, executable));
	program = bpf_map_lookup_elem(&programs, &peer);
	found->peer_habit = program ? program->habit : HABIT_UNKNOWN;
	/* Who redirects to programs that are not known takes the risk. */
	found->peer_can_splice = program && (program->in_code & CODE_SPLICES ||
					     (!(program->in_code & CODE_CHECKED) && unknown_programs != UNKNOWN_FAST));
}
