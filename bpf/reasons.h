/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Why bytes go over TCP. One table for each of the three ways that leads there: a connection is refused at its handshake, a message
 * passes, a socket leaves. The enums, the counters, the order in which the verdict weighs reasons, and src/generated/reasons.ts, from
 * which status, metrics and documents have their words, all come from here. */
#pragma once

/* clang-format off */
/* REFUSED(NAME, words): a connection that was left to TCP when it was established. */
#define REFUSALS(REFUSED)                                                                               \
	REFUSED(NOT_LOCAL, "no listener under this cgroup answered the client's SYN")                    \
	REFUSED(BLOCKING_CLIENT, "the client's socket is in blocking mode")                              \
	REFUSED(BLOCKING_LISTENER, "the listener is in blocking mode")                                   \
	REFUSED(PROTOCOL, "MPTCP at an end or behind the listener, kTLS or another ULP")                 \
	REFUSED(KERNEL_SOCKET, "an end is the kernel's, or was given to it")                             \
	REFUSED(HABIT, "a program that has an end uses its sockets in a way that only TCP serves")       \
	REFUSED(UNKNOWN, "it is not known yet how a program receives that has an end")                   \
	REFUSED(RETURN_RULE, "a rule with -j RETURN matches")                                            \
	REFUSED(NO_ACCEPT_RULE, "there are rules with -j ACCEPT, and none matches")                      \
	REFUSED(SHORT_LIVED, "connections between these programs live for a request or two")             \
	REFUSED(BULK, "connections between these programs turn to bulk")                                 \
	REFUSED(MAP_FULL, "there is no room for more (--max-connections)")                               \
	REFUSED(NO_MEMORY, "the kernel has no memory for it, or TCP's is used up")                       \
	REFUSED(NO_STORAGE, "bpf_sk_storage_get() gave none")                                            \
	REFUSED(OTHER_SOCKMAP, "another sockmap with a program of its own has the socket")

/* LEFT(NAME, words): a socket that went back to plain TCP before it closed. First those that come from elsewhere than a verdict, then
 * those that a verdict finds, the first of them first. */
#define DEPARTURES(LEFT)                                                                                \
	LEFT(HALF_CLOSED, "an end has shut down its direction")                                          \
	LEFT(BY_RULE, "a rule of a later configuration says so")                                         \
	LEFT(CLOSED, "it was reset or has timed out, and its program has it open still")                 \
	LEFT(UNPAIRED, "its peer has not entered")                                                       \
	LEFT(WITH_PEER, "its peer leaves")                                                               \
	LEFT(BY_HABIT, "a program that has an end uses its sockets in a way that only TCP serves")       \
	LEFT(UNKNOWN, "a program has an end now of which nothing is known")                              \
	LEFT(BLOCKING, "it was put into blocking mode")                                                  \
	LEFT(BULK, "its messages are large, and come from another CPU than their reader's")              \
	LEFT(WITHOUT_MEMORY, "TCP's memory, or that of the reader's cgroup, is used up")

/* clang-format on */

/* How long a message can wait for its reason: */
enum urgency {
	NEVER_BEGUN, /* nothing was ever redirected in this direction: it passes */
	IN_ORDER, /* bytes before it are in TCP: it passes, behind them */
	AT_ONCE, /* it passes, and a reader with redirected bytes unread gets an edge once it has read those (edges.h) */
	WHEN_READ, /* it is redirected while the reader has redirected bytes unread */
};

/* clang-format off */
/* PASSED(NAME, urgency, lasts, words): a message of a socket in the sockhash that went to TCP, the first reason that holds first.
 * One that lasts is likely to hold for the next message as well (order.h). */
#define PASSES(PASSED)                                                                                  \
	PASSED(UNPAIRED, NEVER_BEGUN, 0, "the other end has not entered yet")                            \
	PASSED(MEMORY, WHEN_READ, 0, "TCP, or the reader's cgroup, has used up its memory for sockets")  \
	PASSED(UNKNOWN, WHEN_READ, 0, "it is not known how the reader's program receives")               \
	PASSED(LEAVING, WHEN_READ, 0, "the socket is about to leave")                                    \
	PASSED(SPECIAL, AT_ONCE, 0, "sent with MSG_OOB, MSG_ZEROCOPY or MSG_FASTOPEN")                   \
	PASSED(STOPPING, WHEN_READ, 0, "mda stops")                                                      \
	PASSED(CLOSING, WHEN_READ, 0, "an end is no longer ESTABLISHED")                                 \
	PASSED(BLOCKING, AT_ONCE, 1, "the reader is in blocking mode, or nobody has accepted it yet")    \
	PASSED(SILENT_CLIENT, NEVER_BEGUN, 0, "the client has not sent yet, so it may still turn blocking") \
	PASSED(UNTENDED, WHEN_READ, 1, "the reader may wait for edges, and no process of mda could make one") \
	PASSED(PROTOCOL, AT_ONCE, 0, "an end has kTLS or another ULP")                                   \
	PASSED(LOWAT, AT_ONCE, 1, "the reader asked for SO_RCVLOWAT above 1")                            \
	PASSED(OPTION, AT_ONCE, 1, "an end asked for what only TCP gives: urgent data in line, timestamps, a filter ...") \
	PASSED(PACED, WHEN_READ, 1, "the sender is paced")                                               \
	PASSED(UNREAD, IN_ORDER, 0, "bytes of this direction are in TCP, not all read")                  \
	PASSED(REFRESH, WHEN_READ, 0, "TCP has carried nothing of this direction for a second")          \
	PASSED(ACKNOWLEDGING, WHEN_READ, 0, "it carries an acknowledgement, for which the peer's TCP may hold back what comes next") \
	PASSED(FULL, AT_ONCE, 0, "the reader has its receive buffer full of redirected bytes")           \
	PASSED(PEER_LEFT, NEVER_BEGUN, 0, "the peer is no longer in the sockhash")

/* clang-format on */

#define REFUSED_IN_ENUM(NAME, words) REFUSED_##NAME,
#define LEAVE_IN_ENUM(NAME, words) LEAVE_##NAME,
#define PASSED_IN_ENUM(NAME, urgency, lasts, words) PASSED_##NAME,

enum refusal {
	REFUSALS(REFUSED_IN_ENUM)
	REFUSALS_END,
};

enum leave {
	STAY,
	DEPARTURES(LEAVE_IN_ENUM)
	LEAVE_END,
};

enum pass {
	PASSES(PASSED_IN_ENUM)
	PASSES_END,
};

/* Sets of them, a bit each. */
#define SET_OF(value) (1u << (value))
#define IS_WHEN_READ(NAME, urgency, lasts, words) | (urgency == WHEN_READ ? SET_OF(PASSED_##NAME) : 0u)
#define IS_LASTING(NAME, urgency, lasts, words) | (lasts ? SET_OF(PASSED_##NAME) : 0u)

#define PASSES_WHEN_READ (0u PASSES(IS_WHEN_READ))
#define PASSES_LASTING (0u PASSES(IS_LASTING))
