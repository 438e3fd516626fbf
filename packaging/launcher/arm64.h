/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#define MACHINE EM_AARCH64

static long call(long number, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
}

/* Starts a program as the kernel would: on a stack that has its arguments. */
static void __attribute__((noreturn)) jump(uintptr_t entry, const uintptr_t *stack)
{
	/* x0 is a function for atexit(3), or 0; the frame pointer and the return address end the chain of frames. */
	register uintptr_t x16 __asm__("x16") = entry;

	__asm__ volatile("mov sp, %0\n\tmov x0, #0\n\tmov x29, #0\n\tmov x30, #0\n\tbr %1"
			 :
			 : "r"(stack), "r"(x16)
			 : "x0", "x30", "memory");
	__builtin_unreachable();
}

/* Calls launch() with the stack as the kernel made it. */
__asm__(".globl _start\n"
	"_start:\n"
	"	mov x29, #0\n"
	"	mov x30, #0\n"
	"	mov x0, sp\n"
	"	bl launch\n");
