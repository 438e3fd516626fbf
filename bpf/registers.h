/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The registers of the system call that a task is in. */
#pragma once

#include "architecture.h"
#include "cast.h"

/* Where the registers of a system call are, from the beginning of the task's kernel stack; 0: not known. User space finds
 * out with a call of its own: the size of the stack and what lies at its top are the kernel's configuration. */
const volatile __u32 registers_at = 0;

/* Of the task's system call; NULL when it is not known where they are. */
static __always_inline struct pt_regs *registers_of(struct task_struct *task)
{
	const __u32 at = registers_at;

	return at ? cast_to(struct pt_regs, field(task, stack) + at) : NULL;
}
