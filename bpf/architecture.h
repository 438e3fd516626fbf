/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What differs between x86-64 and arm64. One object serves both: user space says which it is before the load, and the
 * verifier leaves out the code of the other, and with it the fields that this kernel does not have. */
#pragma once

#include "cast.h"

const volatile bool is_arm64 = false;

enum x86_64_system_call {
	X86_64_WRITE = 1,
	X86_64_IOCTL = 16,
	X86_64_WRITEV = 20,
	X86_64_SENDTO = 44,
	X86_64_SENDMSG = 46,
	X86_64_GETSOCKOPT = 55,
	X86_64_SPLICE = 275,
	X86_64_SENDMMSG = 307,
};

enum arm64_system_call {
	ARM64_IOCTL = 29,
	ARM64_WRITE = 64,
	ARM64_WRITEV = 66,
	ARM64_SPLICE = 76,
	ARM64_SENDTO = 206,
	ARM64_GETSOCKOPT = 209,
	ARM64_SENDMSG = 211,
	ARM64_SENDMMSG = 269,
};

#define SYSTEM_CALL(name) (is_arm64 ? (__u64)ARM64_##name : (__u64)X86_64_##name)

#define CALLED(regs) (is_arm64 ? (__u64)READ(regs, syscallno) : READ(regs, orig_ax))
/* Arguments of a system call. */
#define FIRST(regs) (is_arm64 ? READ(regs, regs[0]) : READ(regs, di))
#define SECOND(regs) (is_arm64 ? READ(regs, regs[1]) : READ(regs, si))
#define THIRD(regs) (is_arm64 ? READ(regs, regs[2]) : READ(regs, dx))

/* It has called the kernel as a program of 32 bits, whose system calls have other numbers. */
static __always_inline bool calls_as_32_bits(struct task_struct *task)
{
	return is_arm64 ? READ(task, thread_info.flags) & 1ul << TIF_32BIT :
			  READ(task, thread_info.status) & TS_COMPAT;
}
