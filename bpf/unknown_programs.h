/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What becomes of programs whose habits are not known (habits.h): what the configuration says, and a reload may change. */
#pragma once

#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum unknown_programs {
	UNKNOWN_STRICT, /* TCP, until they are, and for ever when they have splice(2) */
	UNKNOWN_LEARN, /* TCP, until they are */
	UNKNOWN_FAST, /* redirected from the first byte on */
};

/* No constant: it can change while the programs run. Looked up in a map it would take stack, of which Linux 5.10 has too
 * little. */
volatile enum unknown_programs unknown_programs = UNKNOWN_LEARN;

/* A program has to be known before anything is redirected to it. */
static __always_inline bool learns_first(void)
{
	return unknown_programs != UNKNOWN_FAST;
}
