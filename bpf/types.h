/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What user space and the kernel side both see: map keys and values. src/bpf/layouts.ts is generated from their BTF. */
#pragma once

#define RULES_MAX 256

/* Bit r is rule r, in the order of the configuration file. */
struct rule_bits {
	__u64 words[RULES_MAX / 64];
};

/* A rule without an option of a kind matches every value of that kind: its bit is in any_*. */
struct rule_set {
	struct rule_bits accepting;
	struct rule_bits returning;
	struct rule_bits any_address;
	struct rule_bits any_port;
	struct rule_bits any_uid;
	struct rule_bits any_gid;
	__u32 count;
	__u32 pad;
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

enum mode {
	MODE_REDIRECT,
	MODE_PASS, /* stopping: a direction goes over to TCP when its reader has nothing redirected unread */
};

/* What a running instance is told while it runs. */
struct control {
	enum mode mode;
	__u32 rules_slot; /* which of the two rule sets holds */
};

#define PATH_BYTES 1024

/* Who runs the data plane, for those who look at it from outside. */
struct instance {
	__u32 pid; /* in the PID namespace it was started in */
	__u32 rules;
	__u64 started_ms; /* since 1970 */
	char object[16]; /* the BPF object's hash: equal ones can share maps */
	char cgroup[PATH_BYTES];
	char config[PATH_BYTES];
};

/* A reader that could not take more redirected bytes, and where it was last seen. */
struct reader {
	__u32 pid; /* of the initial PID namespace; 0 until it is looked for */
	__u32 fd;
	__u64 unread_bytes; /* redirected to it */
};

#define SWEEP_KEYS 64

/* A packet for a program that looks at sockets of the sockhash, one after the other. */
struct sweep {
	__u8 header[16]; /* what the kernel takes for Ethernet's */
	__u64 keys[SWEEP_KEYS]; /* 0: none. Comes back with 0 for those that are not in the sockhash any more */
};

/* One a CPU. The prefix of a name groups it in `mda status`. A message is one verdict of the sk_msg program. */
struct counters {
	__u64 connections_paired;
	__u64 redirected_messages;
	__u64 redirected_bytes;

	/* A connection that was left to TCP when it was established. */
	__u64 refused_not_local; /* no listener under this cgroup answered the client's SYN */
	__u64 refused_blocking_client;
	__u64 refused_blocking_listener;
	__u64 refused_protocol; /* MPTCP subflow, kTLS or another ULP */
	__u64 refused_return_rule;
	__u64 refused_no_accept_rule;
	__u64 refused_unpaired; /* the client was ready, its server's end never came */
	__u64 refused_map_full;
	__u64 refused_other_sockmap; /* another sockmap with a program of its own has the socket */

	/* A message of a socket in the sockhash that went to TCP. */
	__u64 passed_stopping;
	__u64 passed_unpaired;
	__u64 passed_silent_client; /* the client has not sent yet, so it may still turn blocking */
	__u64 passed_leaving;
	__u64 passed_closing; /* the peer is no longer ESTABLISHED */
	__u64 passed_blocking; /* the reader is in blocking mode, or nobody has accepted it yet */
	__u64 passed_lowat; /* the peer asked for SO_RCVLOWAT above 1 */
	__u64 passed_protocol;
	__u64 passed_unread; /* bytes of this direction are in TCP, not all read */
	__u64 passed_full; /* the reader has its receive buffer full of redirected bytes */
	__u64 passed_peer_left; /* the peer is no longer in the sockhash */

	/* A socket that went back to plain TCP before it closed. */
	__u64 left_unpaired;
	__u64 left_bulk;
	__u64 left_blocking;
	__u64 left_half_closed;
	__u64 left_with_peer;
};
