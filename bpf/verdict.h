/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What becomes of a message, by the facts and nothing else: no helper, no map, no kernel address, so that it is compiled for the host as
 * well, where a test tries every combination of facts (tests/verdict). */
#pragma once

#include <stdbool.h>
#include <linux/types.h>
#include "reasons.h"

/* What a handover (handover.h) has to say of a message. */
enum handover {
	HANDOVER_NONE,
	HANDOVER_PASS,
	HANDOVER_REDIRECT,
	HANDOVER_REFUSE,
};

struct facts {
	__u32 holds; /* which reasons to pass hold, SET_OF(enum pass); LEAVING and UNKNOWN come from what follows */
	__u32 presses; /* those of them that cannot wait until the reader has read, though they most often can */
	__u32 wishes; /* why this socket would leave, SET_OF(enum leave) */
	enum leave leaves; /* why it is about to already */
	enum handover handover;
	bool unread; /* the reader has redirected bytes unread */
	bool silenced; /* user space is about to take an end out: nothing is redirected from now on, whatever is unread */
};

enum action {
	REDIRECT,
	PASS,
	REFUSE, /* the send fails */
};

struct verdict {
	enum action action;
	enum pass reason; /* of PASS */
	enum leave leave; /* STAY, or why it leaves from now on */
	bool needs_edge; /* the reader, once it has read what was redirected */
	bool lasts; /* the next message is likely to pass for the same reason */
	bool leaves_now; /* the socket leaves, and its last redirected message is behind it */
};

static inline __u32 lowest_of(__u32 set)
{
	__u32 bit = 0;

	for (int width = 16; width; width /= 2) {
		if (!(set & ((1u << width) - 1))) {
			set >>= width;
			bit += width;
		}
	}
	return bit;
}

static inline struct verdict decide(const struct facts *facts)
{
	struct verdict verdict = { .action = PASS };
	__u32 holds = facts->holds;
	enum leave leaves;

	verdict.leave = facts->leaves || !facts->wishes ? STAY : lowest_of(facts->wishes);
	leaves = facts->leaves ? facts->leaves : verdict.leave;
	if (leaves)
		holds |= SET_OF(leaves == LEAVE_UNKNOWN ? PASSED_UNKNOWN : PASSED_LEAVING);
	if (holds & SET_OF(PASSED_UNPAIRED)) {
		verdict.reason = PASSED_UNPAIRED;
		return verdict;
	}
	if (facts->handover != HANDOVER_NONE) {
		verdict.reason = PASSED_LEAVING;
		if (facts->handover == HANDOVER_REDIRECT)
			verdict.action = REDIRECT;
		if (facts->handover == HANDOVER_REFUSE)
			verdict.action = REFUSE;
		return verdict;
	}
	/* The reader takes what is redirected first. */
	if (facts->unread && !facts->silenced)
		holds &= ~(PASSES_WHEN_READ & ~facts->presses);
	if (!holds) {
		verdict.action = REDIRECT;
		return verdict;
	}
	verdict.reason = lowest_of(holds);
	verdict.needs_edge = facts->unread && verdict.reason != PASSED_UNREAD;
	verdict.lasts = PASSES_LASTING & SET_OF(verdict.reason);
	verdict.leaves_now = leaves && (!facts->unread || facts->silenced);
	return verdict;
}
