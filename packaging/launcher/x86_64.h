/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#define MACHINE EM_X86_64

static long call(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

/* Starts a program as the kernel would: on a stack that has its arguments. */
static void __attribute__((noreturn)) jump(uintptr_t entry, const uintptr_t *stack)
{
	/* rdx is a function for atexit(3), or 0: System V ABI for AMD64, 3.4.1. */
	__asm__ volatile("mov %0, %%rsp\n\txor %%edx, %%edx\n\txor %%ebp, %%ebp\n\tjmp *%1"
			 :
			 : "r"(stack), "r"(entry)
			 : "rdx", "memory");
	__builtin_unreachable();
}

/* Calls launch() with the stack as the kernel made it. */
__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call launch\n");
