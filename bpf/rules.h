/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which rule decides for a connection. Every rule is a bit; each address, port and owner of the connection selects the
 * rules that name it, and a rule matches where all of its kinds of options do. */
#pragma once

#include "connection.h"
#include "control.h"
#include "pass_requests.h"
#include "rule_sets.h"

/* What is decided for a connection: one of these, or the name of the rule that lets it in (rule_sets.h), which is larger. */
enum decision {
	ACCELERATE,
	RETURN_RULE,
	NO_ACCEPT_RULE,
	ASKED_TO_PASS,
};

static __always_inline void select_rules(struct rule_bits *selected, const struct rule_bits *more)
{
	if (!more)
		return;
#pragma clang loop unroll(disable)
	for (int i = 0; i < RULES_MAX / 64; i++)
		selected->words[i] |= more->words[i];
}

/* Not inlined, here and below: a key is on the stack, which ends at 512 bytes, only while it is looked up. */
static __noinline int select_by_address(struct rule_bits *selected, const struct endpoint *end, __u32 slot)
{
	struct address_prefix key = {
		.prefix_bits = 16 + (end->family == 4 ? 32 : 128),
		.slot = slot,
		.family = end->family,
	};

	__builtin_memcpy(key.address, end->address, sizeof(key.address));
	select_rules(selected, bpf_map_lookup_elem(&rule_addresses, &key));
	return 0;
}

static __noinline int select_by_port(struct rule_bits *selected, __u16 port, __u32 slot)
{
	struct port_prefix key = { .prefix_bits = 32, .slot = slot, .port = { port >> 8, port & 0xff } };

	select_rules(selected, bpf_map_lookup_elem(&rule_ports, &key));
	return 0;
}

static __noinline int select_by_owner(struct rule_bits *selected, __u32 id, __u32 kind, __u32 slot)
{
	struct owner_key key = { .slot = slot, .kind = kind, .id = id };

	select_rules(selected, bpf_map_lookup_elem(&rule_owners, &key));
	return 0;
}

static __always_inline __u32 lowest_bit(__u64 word)
{
	__u32 bit = 0;

	for (int width = 32; width; width /= 2) {
		if (!(word & ((1ull << width) - 1))) {
			word >>= width;
			bit += width;
		}
	}
	return bit;
}

/* Returns which rule that is. */
static __always_inline __u32 decided_by(__u32 slot, __u32 word, __u64 matching, bool counted)
{
	__u32 rule = word * 64 + lowest_bit(matching), index = slot * RULES_MAX + rule;
	__u64 *decisions = counted ? bpf_map_lookup_elem(&rule_decisions, &index) : NULL;

	if (decisions)
		__sync_fetch_and_add(decisions, 1);
	return rule;
}

/* Rules, or an operator, have a say: without any, everything is accelerated. */
static __always_inline bool rules_ask(void)
{
	struct control *now = current_control();
	struct rule_set *set;
	__u32 slot;

	if (!now || somebody_asks_to_pass())
		return true;
	slot = now->rules_slot & 1;
	set = bpf_map_lookup_elem(&rule_sets, &slot);
	return !set || set->count;
}

/* Both keep the rules that name what was looked up. */
static __always_inline void keep_selected(struct rule_bits *returning, struct rule_bits *accepting, const struct rule_bits *selected)
{
#pragma clang loop unroll(disable)
	for (int i = 0; i < RULES_MAX / 64; i++) {
		returning->words[i] &= selected->words[i];
		accepting->words[i] &= selected->words[i];
	}
}

/* @counted: for the rule that decides, see rule_decisions. As few bits as can be are on the stack at once: 5.10 counts it strictly. */
static __always_inline enum decision decide_in_slot(const struct connection *c, __u32 slot, bool counted)
{
	struct rule_bits returning, accepting, selected, other;
	bool accept_needed = false;
	struct rule_set *set;

	set = bpf_map_lookup_elem(&rule_sets, &slot);
	if (!set)
		return NO_ACCEPT_RULE;
	if (!set->count)
		return ACCELERATE;

	selected = set->any_address;
	other = set->any_address;
	select_by_address(&selected, &c->client[0], slot);
	select_by_address(&selected, &c->client[1], slot);
	select_by_address(&other, &c->server[0], slot);
	select_by_address(&other, &c->server[1], slot);
	/* One end is enough to return, both have to match to accept. */
#pragma clang loop unroll(disable)
	for (int i = 0; i < RULES_MAX / 64; i++) {
		returning.words[i] = (selected.words[i] | other.words[i]) & set->returning.words[i];
		accepting.words[i] = selected.words[i] & other.words[i] & set->accepting.words[i];
		accept_needed |= set->accepting.words[i] != 0;
	}

	selected = set->any_port;
	select_by_port(&selected, c->client[0].port, slot);
	select_by_port(&selected, c->client[1].port, slot);
	select_by_port(&selected, c->server[0].port, slot);
	select_by_port(&selected, c->server[1].port, slot);
	keep_selected(&returning, &accepting, &selected);

	selected = set->any_uid;
	select_by_owner(&selected, c->client_owner.uid, OWNER_UID, slot);
	select_by_owner(&selected, c->server_owner.uid, OWNER_UID, slot);
	keep_selected(&returning, &accepting, &selected);

	selected = set->any_gid;
	select_by_owner(&selected, c->client_owner.gid, OWNER_GID, slot);
	select_by_owner(&selected, c->server_owner.gid, OWNER_GID, slot);
	keep_selected(&returning, &accepting, &selected);

#pragma clang loop unroll(disable)
	for (int i = 0; i < RULES_MAX / 64; i++) {
		if (returning.words[i]) {
			decided_by(slot, i, returning.words[i], counted);
			return RETURN_RULE;
		}
	}
	if (!accept_needed)
		return ACCELERATE;
#pragma clang loop unroll(disable)
	for (int i = 0; i < RULES_MAX / 64; i++) {
		if (accepting.words[i])
			return set->number * RULES_MAX + decided_by(slot, i, accepting.words[i], counted);
	}
	return NO_ACCEPT_RULE;
}

/* First what an operator asks for is looked at, then the rules. */
static __always_inline __u32 first_filter(void)
{
	return somebody_asks_to_pass() ? 0 : PASS_FILTERS_MAX;
}
