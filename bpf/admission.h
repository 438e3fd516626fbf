/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who may enter the sockhash at the handshake, by what the kernel, the configuration and the rules say, and by what is known of the
 * programs. Each refusal is counted, so that status can tell why a connection was left to TCP. */
#pragma once

#include "answers.h"
#include "connection.h"
#include "control.h"
#include "count.h"
#include "exclusion.h"
#include "executable.h"
#include "habits.h"
#include "options.h"
#include "rules.h"
#include "socket.h"
#include "unknown_programs.h"
#include "worth.h"

/* @client: NULL when it is not known which that is */
static __always_inline bool programs_may_enter(const struct executable *client, const struct executable *server,
						struct answer *answer)
{
	enum habit clients = client ? habit_of(client) : HABIT_UNKNOWN, servers = habit_of(server);

	if (clients > HABIT_RECEIVES || servers > HABIT_RECEIVES) {
		count_refused(REFUSED_HABIT);
		return false;
	}
	if (!learns_first() || (clients == HABIT_RECEIVES && servers == HABIT_RECEIVES))
		return true;
	answer->to_observe = (clients == HABIT_UNKNOWN ? OBSERVE_CLIENT : 0) |
			     (servers == HABIT_UNKNOWN ? OBSERVE_SERVER : 0);
	count_refused(REFUSED_UNKNOWN);
	return false;
}

/* Not inlined: what it needs is on the stack only while it decides. */
static __noinline enum decision rules_decide(struct sock *sk, const struct answer *answer)
{
	struct connection connection = {};

	if (!rules_ask())
		return ACCELERATE;
	/* Rules may have come between the SYN and now. */
	if (!get_ends(answer, &connection))
		return NO_ACCEPT_RULE;
	local_endpoint((void *)sk, &connection.client[0]);
	remote_endpoint((void *)sk, &connection.server[0]);
	connection.client_owner = owner_of(sk);
	return decide_by_rules(&connection, true);
}

/* What connections of these programs are like was learnt (worth.h): where all enter at once, nothing is. */
static __always_inline bool pays_to_enter(const struct executable *client, struct answer *answer)
{
	if (!learns_first())
		return true;
	switch (worth_of(client, &answer->server_executable, answer->port)) {
	case WORTH_SHORT:
		count_refused(REFUSED_SHORT_LIVED);
		return false;
	case WORTH_BULK:
		count_refused(REFUSED_BULK);
		answer->is_bulk = true;
		return false;
	default:
		return true;
	}
}

static __always_inline bool client_may_enter(struct sock *sk, struct answer *answer, const struct executable *executable)
{
	if (refuse(exclusion_of(sk)) || refuse(answer->exclusion))
		return false;
	if (is_without_memory()) {
		count_refused(REFUSED_NO_MEMORY);
		return false;
	}
	if (sends_zerocopy(sk)) {
		count_refused(REFUSED_HABIT);
		return false;
	}
	if (!all_sockets && !nonblocking(sk)) {
		count_refused(REFUSED_BLOCKING_CLIENT);
		return false;
	}
	if (!all_sockets && !answer->nonblocking) {
		count_refused(REFUSED_BLOCKING_LISTENER);
		return false;
	}
	switch (rules_decide(sk, answer)) {
	case ACCELERATE:
		return pays_to_enter(executable, answer) && programs_may_enter(executable, &answer->server_executable, answer);
	case RETURN_RULE:
		count_refused(REFUSED_RETURN_RULE);
		return false;
	default:
		count_refused(REFUSED_NO_ACCEPT_RULE);
		return false;
	}
}

static __always_inline bool server_may_enter(struct sock *sk)
{
	if (refuse(exclusion_of(sk)))
		return false;
	if (sends_zerocopy(sk)) {
		count_refused(REFUSED_HABIT);
		return false;
	}
	return true;
}
