/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Why bytes go over TCP. One table for each of the three ways that leads there: a connection is refused at its handshake, a message
 * passes, a socket leaves. The enums, the counters, the order in which the verdict weighs reasons, and src/generated/reasons.ts, from
 * which status, metrics and documents have their words, all come from here. */
#pragma once

/* clang-format off */
/* REFUSED(NAME, words, remedy): a connection that was left to TCP when it was established. The remedy is what would remove the reason. */
#define REFUSALS(REFUSED) \
	REFUSED(NOT_LOCAL, "no listener under this cgroup answered the client's SYN", \
		"a cgroup that has both programs in it: a higher --cgroup, or none; nothing when the peer is on another host") \
	REFUSED(BLOCKING_CLIENT, "the client's socket is in blocking mode", \
		"a client whose socket is non-blocking, or --sockets all, for programs that are known to bear it") \
	REFUSED(BLOCKING_LISTENER, "the listener is in blocking mode", \
		"a server whose listener is non-blocking, or --sockets all, for programs that are known to bear it") \
	REFUSED(PROTOCOL, "MPTCP at an end or behind the listener, kTLS or another ULP", \
		"plain TCP at both ends, for a server in Go GODEBUG=multipathtcp=0; else nothing") \
	REFUSED(KERNEL_SOCKET, "an end is the kernel's, or was given to it", \
		"nothing: only TCP serves the kernel's own sockets (NFS, SMB, SMC, nbd, KCM)") \
	REFUSED(HABIT, "a program that has an end uses its sockets in a way that only TCP serves", \
		"an option of that program (haproxy: nosplice), and mda stopped and started, which forgets what it knew; else nothing") \
	REFUSED(UNKNOWN, "it is not known yet how a program receives that has an end", \
		"nothing: it is known after 8 messages, and its open connections are adopted then; or --unknown fast") \
	REFUSED(RETURN_RULE, "a rule with -j RETURN matches", \
		"that rule changed, then mda reload") \
	REFUSED(NO_ACCEPT_RULE, "there are rules with -j ACCEPT, and none matches", \
		"a rule with -j ACCEPT that matches, then mda reload") \
	REFUSED(SHORT_LIVED, "connections between these programs live for a request or two", \
		"nothing: it would gain nothing, and one that lives on is adopted; clients that keep connections open gain") \
	REFUSED(BULK, "connections between these programs turn to bulk", \
		"nothing: bulk is faster over TCP, and one that turns out not to be is adopted") \
	REFUSED(TURNS_BLOCKING, "connections between these programs are put into blocking mode", \
		"nothing: one that stays non-blocking is adopted; --sockets all for programs that are known to bear it") \
	REFUSED(MAP_FULL, "there is no room for more (--max-connections)", \
		"mda stopped, and started with a larger --max-connections") \
	REFUSED(NO_MEMORY, "the kernel has no memory for it, or TCP's is used up", \
		"memory: a larger net.ipv4.tcp_mem, or what the host or mda's cgroup lacks") \
	REFUSED(NO_STORAGE, "bpf_sk_storage_get() gave none", \
		"a larger net.core.optmem_max in the socket's network namespace, or memory") \
	REFUSED(OTHER_SOCKMAP, "another sockmap with a program of its own has the socket", \
		"that program stopped, or rules that part the connections; the rows neighbours of mda status say whose it is") \
	REFUSED(ON_REQUEST, "an operator wants it on TCP for a while (mda pass)", \
		"the end of that mda pass, which mda status names")

/* LEFT(NAME, words, remedy): a socket that went back to plain TCP before it closed. First those that come from elsewhere than a verdict, then
 * those that a verdict finds, the first of them first. */
#define DEPARTURES(LEFT) \
	LEFT(HALF_CLOSED, "an end has shut down its direction", \
		"nothing: what the other end still sends goes over TCP") \
	LEFT(BY_RULE, "a rule of a later configuration says so", \
		"that rule changed, then mda reload") \
	LEFT(ON_REQUEST, "an operator wants it on TCP for a while (mda pass)", \
		"the end of that mda pass, which mda status names") \
	LEFT(CLOSED, "it was reset or has timed out, and its program has it open still", \
		"nothing: it is over") \
	LEFT(UNPAIRED, "its peer has not entered", \
		"nothing: mda run adopts it when it looks next; without a process mda reload does") \
	LEFT(WITH_PEER, "its peer leaves", \
		"what its peer leaves for") \
	LEFT(BY_HABIT, "a program that has an end uses its sockets in a way that only TCP serves", \
		"an option of that program (haproxy: nosplice), and mda stopped and started, which forgets what it knew; else nothing") \
	LEFT(UNKNOWN, "a program has an end now of which nothing is known", \
		"nothing: it is adopted once the program is known") \
	LEFT(BLOCKING, "it was put into blocking mode", \
		"a program that leaves its socket non-blocking, or --sockets all, for programs that are known to bear it") \
	LEFT(BULK, "its messages are large, and come from another CPU than their reader's", \
		"nothing: bulk is faster over TCP, and one that sends small messages again is adopted") \
	LEFT(WITHOUT_MEMORY, "TCP's memory, or that of the reader's cgroup, is used up", \
		"a larger net.ipv4.tcp_mem, or memory.max of the reader's cgroup")

/* clang-format on */

/* How long a message can wait for its reason: */
enum urgency {
	NEVER_BEGUN, /* nothing was ever redirected in this direction: it passes */
	IN_ORDER, /* bytes before it are in TCP: it passes, behind them */
	AT_ONCE, /* it passes, and a reader with redirected bytes unread gets an edge once it has read those (edges.h) */
	WHEN_READ, /* it is redirected while the reader has redirected bytes unread */
};

/* clang-format off */
/* PASSED(NAME, urgency, lasts, words, remedy): a message of a socket in the sockhash that went to TCP, the first reason that holds first.
 * One that lasts is likely to hold for the next message as well (order.h). */
#define PASSES(PASSED) \
	PASSED(UNPAIRED, NEVER_BEGUN, 0, "the other end has not entered yet", \
		"nothing: the next messages are redirected once it has") \
	PASSED(MEMORY, WHEN_READ, 0, "TCP, or the reader's cgroup, has used up its memory for sockets", \
		"a larger net.ipv4.tcp_mem, or memory.max of the reader's cgroup") \
	PASSED(UNKNOWN, WHEN_READ, 0, "it is not known how the reader's program receives", \
		"nothing: it leaves, and is adopted once the program is known") \
	PASSED(LEAVING, WHEN_READ, 0, "the socket is about to leave", \
		"what it leaves for") \
	PASSED(SPECIAL, AT_ONCE, 0, "sent with MSG_OOB, MSG_ZEROCOPY or MSG_FASTOPEN", \
		"a program that does not; one that sends with MSG_OOB or MSG_ZEROCOPY is left to TCP from then on") \
	PASSED(STOPPING, WHEN_READ, 0, "mda stops", \
		"mda run or mda enable") \
	PASSED(CLOSING, WHEN_READ, 0, "an end is no longer ESTABLISHED", \
		"nothing: it is about to end") \
	PASSED(BLOCKING, AT_ONCE, 1, "the reader is in blocking mode, or nobody has accepted it yet", \
		"nothing when it is about to be accepted; else a reader that is non-blocking, or --sockets all, for programs that are known to bear it") \
	PASSED(SILENT_CLIENT, NEVER_BEGUN, 0, "the client has not sent yet, so it may still turn blocking", \
		"nothing: it ends when the client sends") \
	PASSED(UNTENDED, WHEN_READ, 1, "the reader may wait for edges, and no process of mda could make one", \
		"mda run where there was only mda enable, and where it sees the host's processes") \
	PASSED(PROTOCOL, AT_ONCE, 0, "an end has kTLS or another ULP", \
		"plain TCP at both ends, for a server in Go GODEBUG=multipathtcp=0; else nothing") \
	PASSED(LOWAT, AT_ONCE, 1, "the reader asked for SO_RCVLOWAT above 1", \
		"a reader that does not; else nothing") \
	PASSED(OPTION, AT_ONCE, 1, "an end asked for what only TCP gives: urgent data in line, timestamps, a filter ...", \
		"a program that does not (docs/limits.md has the options); else nothing") \
	PASSED(PACED, WHEN_READ, 1, "the sender is paced", \
		"no SO_MAX_PACING_RATE, and a congestion control that does not pace; else nothing") \
	PASSED(UNREAD, IN_ORDER, 0, "bytes of this direction are in TCP, not all read", \
		"nothing: the reader is slower than its sender, and TCP holds the sender") \
	PASSED(REFRESH, WHEN_READ, 0, "TCP has carried nothing of this direction for a second", \
		"nothing: a message a second keeps NAT entries, keepalive timers and TCP_INFO alive") \
	PASSED(ACKNOWLEDGING, WHEN_READ, 0, "it carries an acknowledgement, for which the peer's TCP may hold back what comes next", \
		"what keeps the other direction on TCP") \
	PASSED(FULL, AT_ONCE, 0, "the reader has its receive buffer full of redirected bytes", \
		"nothing: the reader is slower than its sender, and TCP holds the sender") \
	PASSED(PEER_LEFT, NEVER_BEGUN, 0, "the peer is no longer in the sockhash", \
		"what the peer has left for")

/* clang-format on */

#define REFUSED_IN_ENUM(NAME, words, remedy) REFUSED_##NAME,
#define LEAVE_IN_ENUM(NAME, words, remedy) LEAVE_##NAME,
#define PASSED_IN_ENUM(NAME, urgency, lasts, words, remedy) PASSED_##NAME,

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
#define IS_WHEN_READ(NAME, urgency, lasts, words, remedy) | (urgency == WHEN_READ ? SET_OF(PASSED_##NAME) : 0u)
#define IS_LASTING(NAME, urgency, lasts, words, remedy) | (lasts ? SET_OF(PASSED_##NAME) : 0u)

#define PASSES_WHEN_READ (0u PASSES(IS_WHEN_READ))
#define PASSES_LASTING (0u PASSES(IS_LASTING))
