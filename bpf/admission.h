/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who may enter the sockhash at the handshake, by what the kernel, the configuration and the rules say, and by what is known of the
 * programs. Each refusal is counted, so that status can tell why a connection was left to TCP. */
#pragma once

#include "answers.h"
#include "connection.h"
#include "control.h"
#include "exclusion.h"
#include "executable.h"
#include "habits.h"
#include "options.h"
#include "refused.h"
#include "rules.h"
#include "socket.h"
#include "unknown_programs.h"
#include "worth.h"

static __always_inline bool refuse_client(struct answer *answer, enum refusal reason)
{
	refuse_end(&answer->refused, reason);
	return false;
}

static __always_inline bool excludes(enum exclusion exclusion, struct answer *answer)
{
	if (exclusion == EXCLUDED_PROTOCOL)
		refuse_client(answer, REFUSED_PROTOCOL);
	if (exclusion == EXCLUDED_KERNEL)
		refuse_client(answer, REFUSED_KERNEL_SOCKET);
	return exclusion != NOT_EXCLUDED;
}

/* @client: all 0 when it is not known which that is */
static __always_inline bool programs_may_enter(const struct executable *client, const struct executable *server,
					       struct answer *answer)
{
	enum habit clients = is_known(client) ? habit_of(client) : HABIT_UNKNOWN, servers = habit_of(server);

	if (clients > HABIT_RECEIVES || servers > HABIT_RECEIVES)
		return refuse_client(answer, REFUSED_HABIT);
	if (!learns_first() || (clients == HABIT_RECEIVES && servers == HABIT_RECEIVES))
		return true;
	answer->to_observe = (clients == HABIT_UNKNOWN ? OBSERVE_CLIENT : 0) |
			     (servers == HABIT_UNKNOWN ? OBSERVE_SERVER : 0);
	return refuse_client(answer, REFUSED_UNKNOWN);
}

/* What one rule set says of a client, see enum decision. Not inlined, nor static: the verifier looks at it once, however many sets are asked,
 * and what it needs is on the stack only while it decides. */
__noinline enum decision ask_rule_set(struct bpf_sock_ops *ops, __u32 slot, __u32 counted)
{
	struct handshake handshake = { ops->snd_nxt, ops->rcv_nxt };
	struct connection connection = {};
	struct bpf_sock *sk = ops->sk;
	struct sock_common *tp;

	if (!sk)
		return NO_ACCEPT_RULE;
	tp = (void *)bpf_skc_to_tcp_sock(sk);
	/* Rules may have come between the SYN and now. */
	if (!tp || !get_ends(&handshake, &connection))
		return NO_ACCEPT_RULE;
	local_endpoint(tp, &connection.client[0]);
	remote_endpoint(tp, &connection.server[0]);
	connection.client_owner = owner_of((void *)tp);
	return decide_in_slot(&connection, slot, counted);
}

static __always_inline enum decision rules_decide(struct bpf_sock_ops *ops)
{
	struct control *now = current_control();

	if (!now)
		return NO_ACCEPT_RULE;
	if (!rules_ask())
		return ACCELERATE;
#pragma clang loop unroll(disable)
	for (__u32 filter = first_filter(); filter < PASS_FILTERS_MAX; filter++) {
		if (is_pass_filter_in_force(filter) && ask_rule_set(ops, RULE_SLOTS + filter, false) == RETURN_RULE)
			return ASKED_TO_PASS;
	}
	return ask_rule_set(ops, now->rules_slot & 1, true);
}

/* What connections of these programs are like was learnt (worth.h). Where all are to enter at once, those that turn blocking are not: until
 * they leave, a recv(2) of theirs may end with EAGAIN. */
static __always_inline bool pays_to_enter(const struct executable *client, struct answer *answer)
{
	enum worth worth = worth_of(client, &answer->server_executable, answer->port);

	if (worth == WORTH_BLOCKING)
		return refuse_client(answer, REFUSED_TURNS_BLOCKING);
	if (!learns_first())
		return true;
	switch (worth) {
	case WORTH_SHORT:
		return refuse_client(answer, REFUSED_SHORT_LIVED);
	case WORTH_BULK:
		return refuse_client(answer, REFUSED_BULK);
	default:
		return true;
	}
}

/* @rule: lane.rule, when it may */
static __always_inline bool client_may_enter(struct bpf_sock_ops *ops, struct sock *sk, struct answer *answer, const struct executable *executable,
					     __u32 *rule)
{
	if (excludes(exclusion_of(sk), answer) || excludes(answer->exclusion, answer))
		return false;
	if (is_without_memory())
		return refuse_client(answer, REFUSED_NO_MEMORY);
	if (sends_zerocopy(sk))
		return refuse_client(answer, REFUSED_HABIT);
	if (!all_sockets && !nonblocking(sk))
		return refuse_client(answer, REFUSED_BLOCKING_CLIENT);
	if (!all_sockets && !answer->nonblocking)
		return refuse_client(answer, REFUSED_BLOCKING_LISTENER);
	*rule = rules_decide(ops);
	switch (*rule) {
	case RETURN_RULE:
		return refuse_client(answer, REFUSED_RETURN_RULE);
	case ASKED_TO_PASS:
		return refuse_client(answer, REFUSED_ON_REQUEST);
	case NO_ACCEPT_RULE:
		return refuse_client(answer, REFUSED_NO_ACCEPT_RULE);
	default:
		return pays_to_enter(executable, answer) && programs_may_enter(executable, &answer->server_executable, answer);
	}
}

static __always_inline bool server_may_enter(struct sock *sk, __u8 *refused)
{
	if (has_ulp(sk))
		refuse_end(refused, REFUSED_PROTOCOL);
	else if (is_kernels(sk))
		refuse_end(refused, REFUSED_KERNEL_SOCKET);
	else if (sends_zerocopy(sk))
		refuse_end(refused, REFUSED_HABIT);
	return !*refused;
}
