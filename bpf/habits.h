/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What programs do with their sockets beyond recv(2) and send(2). sockmap gives redirected bytes to recv(2) and its like
 * (tcp_bpf_recvmsg()), to nobody else: splice(2), TCP_ZEROCOPY_RECEIVE and kTLS take from TCP's own queue and would wait for
 * ever, or take later bytes first. So what a program does is learnt, by its executable, before anything is redirected to it:
 *
 *   unknown         its sockets stay outside of the sockhash; what it has read there counts (learning.h)
 *   receives        after HABIT_MESSAGES of it, unless a hook has seen it do otherwise: bytes are redirected to it
 *   anything else   seen by a hook at the first time, also later: its connections leave, new ones of its listeners do not enter
 *
 * Hooks see it before the kernel does it: the functions themselves where fentry programs may be attached (at no cost until
 * they are called), else the entry of system calls. What a program does for the first time while redirected bytes wait for
 * it is mended: user space sends them again through the peer's TCP (handover.h). */
#pragma once

#include "control.h"
#include "events.h"
#include "executable.h"
#include "learnt.h"

/* What a program does with its sockets, as far as it has been seen. After HABIT_RECEIVES comes what sockmap cannot serve. */
enum habit {
	HABIT_UNKNOWN,
	HABIT_RECEIVES, /* with recv(2) and its like */
	HABIT_COUNTS, /* asks how much is unread (FIONREAD), of which the kernel counts one of the two queues only */
	HABIT_SPLICES, /* splice(2) from a socket */
	HABIT_MAPS, /* TCP_ZEROCOPY_RECEIVE */
	HABIT_URGENT, /* sends with MSG_OOB */
	HABIT_ZEROCOPY, /* sends with MSG_ZEROCOPY */
	HABIT_PROTOCOL, /* sets a ULP, kTLS say, on a socket that is connected, or gives it to the kernel (nbd) */
};

/* What user space has found in a program's code, or in a library's that it uses. */
enum in_code {
	CODE_CHECKED = 1, /* it was looked at */
	CODE_SPLICES = 2, /* splice(2) */
	CODE_COUNTS = 4, /* FIONREAD */
	CODE_MAPS = 8, /* TCP_ZEROCOPY_RECEIVE */
	CODE_WATCHED = 16, /* the hooks for what was found are attached */
};

struct program {
	enum habit habit;
	enum in_code in_code; /* any of them */
	__u32 messages; /* that it has read from TCP while its habit was not known */
	__u32 asks; /* enum asks, fionread.h */
	__u32 pid; /* a process of it, in the host's PID namespace */
	char name[16]; /* of the process that was seen first */
};

/* A packet for `learn_code`: what has been found in a program's code. */
struct found_in_code {
	__u8 header[16]; /* what the kernel takes for Ethernet's */
	struct executable executable;
	enum in_code in_code; /* any of them */
	__u32 pad;
};

#define PROGRAMS_MAX 4096

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PROGRAMS_MAX);
	__type(key, struct executable);
	__type(value, struct program);
} programs SEC(".maps");

/* Something sees what programs do: else none is ever known. */
const volatile bool sees_habits = false;

static __always_inline enum habit habit_of(const struct executable *executable)
{
	struct program *program = bpf_map_lookup_elem(&programs, executable);

	return program ? program->habit : HABIT_UNKNOWN;
}

/* Every socket looks up anew, at its next send, what the programs at its ends do. */
static __always_inline void habits_have_changed(void)
{
	struct learnt *learnt = all_learnt();

	if (learnt)
		__sync_fetch_and_add(&learnt->habits_changed, 1);
	begin_epoch();
}

/* A process of the program takes part. Its code is to be looked at. */
static __noinline int meet(const struct executable *executable, struct task_struct *task)
{
	struct program *program = bpf_map_lookup_elem(&programs, executable);
	struct event event = { .kind = EVENT_PROGRAM };
	struct program new = {};
	struct learnt *learnt;

	if (!is_known(executable) || (program && program->in_code & CODE_CHECKED))
		return 0;
	new.pid = READ(task, tgid);
	if (program && program->pid == new.pid)
		return 0;
	/* Now, since the process may not last long. */
	event.pid = new.pid;
	report(&event);
	if (program) {
		program->pid = new.pid;
		return 0;
	}
	bpf_probe_read_kernel(new.name, sizeof(new.name), __builtin_preserve_access_index(&task->comm));
	bpf_map_update_elem(&programs, executable, &new, BPF_NOEXIST);
	learnt = all_learnt();
	if (learnt)
		__sync_fetch_and_add(&learnt->programs_found, 1);
	return 1;
}

/* The program has this habit. */
static __noinline int learn(const struct executable *executable, enum habit habit)
{
	struct program *program = bpf_map_lookup_elem(&programs, executable);

	/* The first habit that cannot be served decides. */
	if (!program || program->habit > HABIT_RECEIVES || program->habit == habit)
		return 0;
	program->habit = habit;
	habits_have_changed();
	return 1;
}

/* User space has looked at the code. */
static __noinline int note_code(struct found_in_code *found)
{
	struct executable executable = found->executable;
	struct program *program = bpf_map_lookup_elem(&programs, &executable);

	if (!program)
		return 0;
	program->in_code = found->in_code;
	habits_have_changed();
	return 1;
}
