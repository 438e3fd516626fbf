/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What hooks see programs do (habits.h): from the arguments of a function of the kernel, or of a system call, to the socket and the
 * habit. */
#pragma once

#include "architecture.h"
#include "bypassed.h"
#include "fionread.h"
#include "flow.h"
#include "habits.h"
#include "task.h"

/* A hook: the running process does something with a socket that redirected bytes are not there for. */
static __noinline int has_habit(struct sock *sk, enum habit habit)
{
	struct mm_struct *mm = READ(current_task(), mm);
	struct executable executable;
	__u32 none = 0;
	__u64 cookie;

	if (!sk || !mm || !is_tcp(sk))
		return 0;
	executable = executable_of(mm);
	learn(&executable, habit);
	if (!psock_of(sk) || !unread_bytes(sk))
		return 0;
	cookie = READ(sk, __sk_common.skc_cookie.counter);
	bpf_map_update_elem(&bypassed, &cookie, &none, BPF_NOEXIST);
	return 0;
}

/* What the tracepoints of system calls give (struct syscall_tp_t, kernel/trace/trace_syscalls.c). The number has 64 bits on
 * older kernels; on later ones it has 32, and nobody clears those behind it. */
struct system_call_entry {
	__u64 common;
	__u32 call;
	__u32 uncertain;
	__u64 arguments[6];
};

/* A system call begins: it is a habit, or no matter. */
static __always_inline void called(__u64 call, __u64 first, __u64 second, __u64 third)
{
	enum habit habit;

	if (call == SYSTEM_CALL(SPLICE))
		habit = HABIT_SPLICES;
	else if (call == SYSTEM_CALL(GETSOCKOPT) && second == SOL_TCP && third == TCP_ZEROCOPY_RECEIVE)
		habit = HABIT_MAPS;
	else if (call == SYSTEM_CALL(IOCTL) && (__u32)second == FIONREAD)
		habit = HABIT_COUNTS;
	else
		return;
	if (calls_as_32_bits(current_task()))
		return;
	if (habit == HABIT_COUNTS)
		asks_for_unread(socket_of_descriptor(current_task(), first), first);
	else
		has_habit(socket_of_descriptor(current_task(), first), habit);
}
