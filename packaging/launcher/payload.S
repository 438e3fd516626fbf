/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the launcher carries, in a loaded section and not behind the last one: strip(1), which packagers run on every
 * executable, keeps it. DENO and PROGRAM are the files' names. Aligned to the largest page that a kernel of arm64 has.
 */
	.section .payload, "a", @progbits

	.balign 65536
	.globl payload_deno
payload_deno:
	.incbin DENO

	.balign 65536
	.globl payload_program, payload_program_end
payload_program:
	.incbin PROGRAM
payload_program_end:

	.section .note.GNU-stack, "", @progbits
