/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The rules as user space writes them. Every rule is a bit, and what a rule can name (an address, a port, an owner) is a key whose value
 * has the bits of the rules that name it. rules.h looks them up. */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#define RULES_MAX 256

#define RULE_VALUES_MAX 4096
/* Two rule sets exist while one replaces the other; `mda pass` has others, of one rule each. */
#define RULE_SLOTS 2
#define PASS_FILTERS_MAX 4
#define RULE_SETS_MAX (RULE_SLOTS + PASS_FILTERS_MAX)
#define RULE_DECISIONS_MAX (RULE_SETS_MAX * RULES_MAX)
/* A port range splits into at most 30 prefixes. */
#define RULE_PREFIXES_MAX (2 * 30 * RULE_VALUES_MAX)

/* Bit r is rule r, in the order of the configuration file. */
struct rule_bits {
	__u64 words[RULES_MAX / 64];
};

/* A rule without an option of a kind matches every value of that kind: its bit is in any_*.
 * A rule's name is number * RULES_MAX + rule: slots are used again, but what has noted a name never takes another rule for its own. */
struct rule_set {
	struct rule_bits accepting;
	struct rule_bits returning;
	struct rule_bits any_address;
	struct rule_bits any_port;
	struct rule_bits any_uid;
	struct rule_bits any_gid;
	__u32 count;
	__u32 number; /* that each set of the configuration's has for itself, from 1 on */
};

/* Keys of the longest-prefix tries. prefix_bits counts from `slot` on. A value is the union over all rules whose
 * prefix covers the key: the trie returns the longest match only. */
struct address_prefix {
	__u32 prefix_bits;
	__u8 slot;
	__u8 family; /* 4 or 6 */
	__u8 address[16]; /* network order; IPv4 in the first four */
};

struct port_prefix {
	__u32 prefix_bits;
	__u8 slot;
	__u8 zero;
	__u8 port[2]; /* network order */
};

enum owner_kind {
	OWNER_UID,
	OWNER_GID,
};

struct owner_key {
	__u32 slot;
	enum owner_kind kind;
	__u32 id;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RULE_SETS_MAX);
	__type(key, __u32);
	__type(value, struct rule_set);
} rule_sets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, RULE_PREFIXES_MAX);
	__type(key, struct address_prefix);
	__type(value, struct rule_bits);
} rule_addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, RULE_PREFIXES_MAX);
	__type(key, struct port_prefix);
	__type(value, struct rule_bits);
} rule_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 2 * RULE_VALUES_MAX);
	__type(key, struct owner_key);
	__type(value, struct rule_bits);
} rule_owners SEC(".maps");

/* Connections that a rule decided: [rules_slot * RULES_MAX + rule]. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, RULE_DECISIONS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} rule_decisions SEC(".maps");
