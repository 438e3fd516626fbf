/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One direction of a connection, in the storage of the socket that sends. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "cast.h"
#include "executable.h"
#include "seqs.h"
#include "verdict.h"

/* Ends, two a connection. Only a table of pointers exists beforehand; an element is made for a socket that enters. */
#define ENDS_MAX 262144

/* An end as the other one knows it. Kernel addresses are only ever read, by what cast.h has for that. */
struct end {
	__u64 key; /* in the sockhash */
	__u64 cookie;
	__u64 tcp_sock;
	__u64 lane;
};

/* What a socket tells its peer, which reads it on every send. */
struct notice {
	__u16 leave; /* enum leave */
	__u16 executables; /* how often its program has become another */
	__u16 passes; /* its messages go to TCP, for a reason that lasts; see order.h */
	__u16 cpu; /* that it last sent on, plus 1; 0: it has not sent yet */
};

#define NOTICE_CPU_BITS 48
#define NOTICE_BUT_CPU ((1ull << NOTICE_CPU_BITS) - 1)
#define NOTICE_LEAVES_OR_PASSES 0xffff0000ffffull

/* Whether a socket still redirects. */
enum quiet {
	NOT_QUIET,
	SILENT, /* no more: what begins from now on passes; what has begun may be under way */
	QUIET, /* no more, and nothing of it is under way */
};

/* Of the connection, not of its messages. */
enum account {
	ACCOUNT_COUNTED = 1, /* what it was like */
	ACCOUNT_ADOPTED = 2, /* it has entered by a scan, and not at its handshake */
};

/* What was found on the way to the facts, and is noted when the verdict is carried out. */
struct found {
	struct end peer;
	__u64 mm;
	struct executable executable; /* of the sender, when it is new */
	struct notice notice; /* the peer's */
	__u32 habits_seen;
	__u32 memory_seen;
	__u64 until;
	__u32 write_seq;
	__u32 burst;
	__u32 mean_bytes;
	__u16 room; /* as in the lane */
	__u8 own_habit;
	__u8 peer_habit;
	__u8 special_habit; /* that a flag of this send shows */
	bool peer_can_splice;
	bool is_new_sender;
	bool is_other_executable;
	bool has_read_tcp;
	bool has_handed_over;
	bool is_alone; /* no other send of this socket is under way */
	bool may_be_kept; /* the verdict, for the next messages */
};

/* What a socket that entered the sockhash knows: 440 bytes at most, which with what the kernel adds (struct bpf_local_storage_elem) take a slab
 * of 512. The first 56 bytes share a cache line in the kernel's bpf_local_storage_elem. These
 * are what the peer reads, and change seldom; the next line is what a send compares, the one after it what it writes. */
struct lane {
	struct notice notice; /* first: see peer_notice() */
	__u64 left_at_ns; /* 0 while in the sockhash */
	__u32 quiet; /* enum quiet */
	__u32 asked; /* user space was asked, by `leaving`, to take it out */
	struct executable executable;
	__u64 key; /* the client's cookie << 1, plus 1 for the server's end */
	__u64 psock; /* that the sockhash has given it */

	/* What was last decided (facts.h): messages are redirected while all of it is as it was. */
	__u64 epoch; /* 0: to be decided anew */
	__u64 mm; /* of the last sender: while it is the same, so is the program */
	struct end peer; /* all 0 until known */
	__u64 peer_notice; /* but for the CPU */
	__u64 until; /* the jiffy */

	__u32 tcp_bytes_end; /* write_seq when all that TCP carried in this direction was last seen read */
	__u32 on_tcp; /* messages went to TCP since that was set */
	__u64 own_prot; /* struct proto, which a ULP replaces */
	__u64 peer_prot;
	__u64 own_file; /* struct file, which has O_NONBLOCK */
	__u64 peer_file;
	__u32 burst; /* messages sent since the reader was last seen to have read all, see flow.h */
	__u32 mean_bytes; /* of the messages sent, see bulk.h */
	__u32 memory_seen; /* in which jiffy the reader's cgroup had plenty, see memory.h */
	__u32 habits_seen; /* learnt.habits_changed when habits were looked up */
	__u64 messages; /* redirected */
	__u64 bytes; /* of these */
	__u64 messages_alone; /* of these, when no other send was last seen under way: all of them are in the reader's queue, or were */

	__u32 moved; /* the jiffy of its last message, its lower half */
	__u16 passed_for; /* enum pass: why the last one that passed did */
	__u16 room; /* for redirected bytes, in units of 1 << ROOM_SHIFT; see flow.h */
	__u64 passed_messages;
	__u64 passed_bytes;
	__u64 since_ns; /* when it entered */

	/* What is needed less often. */
	__u8 own_habit;
	__u8 peer_habit;
	__u16 peer_executables; /* its notice.programs then */
	__u32 peer_can_splice; /* as far as is known */
	__u32 callbacks; /* that it has for us: see callbacks.h */
	__u32 handed_over; /* all that was redirected and not read is sent again through TCP, see handover.h */
	__u64 messages_before; /* of both ends, when the client's was last adopted; see histograms.h */
	__u64 bytes_before;
	__u32 account; /* enum account */
	__u32 rule; /* the client's: the name of the rule that has let it in, see rule_sets.h; 0: none had to */
	__u64 fin_held_ns; /* see closing.h */
	__u64 worth; /* place of the connection's past, see worth.h; 0 when it has shown what it is like */
	struct handshake handshake; /* until a client knows its peer */

	/* Of the message that is looked at, under the socket's lock. Here, and not on the stack, so that the verifier does not follow every
	 * combination of facts. */
	struct facts facts;
	struct found found;
	struct verdict verdict;
};

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, ENDS_MAX);
	__type(key, __u64);
	__type(value, __u64);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct lane);
} lanes SEC(".maps");

static __always_inline __u64 notice_word(const struct notice *notice)
{
	return *(const volatile __u64 *)notice;
}

/* The peer's, as one number. */
static __always_inline __u64 peer_notice_word(const struct lane *lane)
{
	return (__u64)pointer_at((void *)lane->peer.lane);
}

/* @lane: the address of that of the one whose notice it is */
static __always_inline struct notice notice_at(__u64 lane)
{
	__u64 word = (__u64)pointer_at((void *)lane);
	struct notice notice = {
		.leave = word,
		.executables = word >> 16,
		.passes = word >> 32,
		.cpu = word >> NOTICE_CPU_BITS,
	};

	return notice;
}

static __always_inline struct notice peer_notice(const struct lane *lane)
{
	return notice_at(lane->peer.lane);
}

/* A socket that an mda put into the sockhash and was killed before it called `join`: nothing is redirected by it or to it. */
static __always_inline bool is_half_adopted(const struct lane *lane)
{
	return !lane || lane->left_at_ns;
}

/* The kernel reuses the memory of sockets. */
static __always_inline bool is_still(const struct lane *lane, struct sock *peer)
{
	return (__u64)READ(peer, __sk_common.skc_cookie.counter) == lane->peer.cookie;
}
