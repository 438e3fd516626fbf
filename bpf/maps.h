/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/* Ends, two a connection. Only a table of pointers exists beforehand; an element is made for a socket that enters. */
#define ENDS_MAX 262144
/* Handshakes between the SYN and the accepting end's ESTABLISHED, LRU; user space gives hosts of many CPUs more. */
#define HANDSHAKES_MAX 8192
#define LISTENERS_MAX 1024
#define BEHIND_MAX 1024
#define PROGRAMS_MAX 4096
#define ERRORS_MAX 64
#define RULE_VALUES_MAX 4096
/* A port range splits into at most 30 prefixes; two rule sets exist while one replaces the other. */
#define RULE_PREFIXES_MAX (2 * 30 * RULE_VALUES_MAX)

/* Both ends of a TCP connection know the pair of initial sequence numbers, and no NAT rewrites them: 64 bits that name
 * a connection across REDIRECT, DNAT, SNAT and network namespaces. */
struct handshake {
	__u32 client_seq; /* the client's first data byte: its ISN + 1 */
	__u32 server_seq; /* the server's */
};

/* Which ends of a connection that stays outside are looked at there. */
enum to_observe {
	OBSERVE_CLIENT = 1,
	OBSERVE_SERVER = 2,
};

/* Who may not enter, whatever the rules say. */
enum exclusion {
	NOT_EXCLUDED,
	EXCLUDED_PROTOCOL,
	EXCLUDED_KERNEL,
};

/* A SYN that a listener of this host has answered, as the listener's side sees it. */
struct answer {
	struct endpoint server;
	struct endpoint client;
	struct owner server_owner;
	__u32 nonblocking; /* the listener */
	enum exclusion exclusion;
	struct executable server_program; /* all 0: not known yet */
	__u32 to_observe; /* enum to_observe */
	__u32 pad;
};

/* An end as the other one knows it. Kernel addresses are only ever read with bpf_probe_read_kernel. */
struct end {
	__u64 key; /* in the sockhash */
	__u64 cookie;
	__u64 tcp_sock;
	__u64 link;
};

/* A client that waits for its server's end, and what its server's program is. */
struct waiting_client {
	struct end end;
	struct executable server_program;
};

/* What a socket tells its peer, which reads it on every send. */
struct notice {
	__u16 leave; /* enum leave */
	__u16 programs; /* how often its program has become another */
	__u16 cpu; /* that it last sent on, plus 1; 0: it has not sent yet */
	__u16 passes; /* its messages go to TCP, for a reason that lasts; see order.h */
};

/* Whether a socket still redirects. */
enum quiet {
	NOT_QUIET,
	SILENT, /* no more: what begins from now on passes; what has begun may be under way */
	QUIET, /* no more, and nothing of it is under way */
};

/* What a socket that entered the sockhash knows. The first 56 bytes share a cache line in the kernel's
 * bpf_local_storage_elem, and what most sends write comes after them. */
struct link {
	struct notice notice; /* first: see peer_notice() */
	__u64 left_at_ns; /* 0 while in the sockhash */
	__u64 key; /* the client's cookie << 1, plus 1 for the server's end */
	struct end peer; /* all 0 until known */
	__u32 tcp_bytes_end; /* write_seq when all that TCP carried in this direction was last seen read */
	__u32 mean_bytes; /* of the messages sent, see bulk.h */
	__u32 on_tcp; /* messages went to TCP since tcp_bytes_end was set */
	__u32 burst; /* messages sent since the reader was last seen to have read all, see flow.h */
	__u32 quiet; /* enum quiet */
	__u32 asked; /* user space was asked, by `leaving`, to take it out */
	__u64 mm; /* of the last sender: while it is the same, so is the program */
	__u32 habits_seen; /* learnt.habits_changed when the next were looked up */
	__u8 own_habit;
	__u8 peer_habit;
	__u16 peer_programs; /* its notice.programs then */
	__u32 peer_can_splice; /* as far as is known */
	struct executable program;
	__u32 callbacks; /* that it has for us: see callbacks.h */
	__u32 memory_seen; /* in which jiffy there was enough, see memory.h */
	__u32 pad;
	__u32 handed_over; /* all that was redirected and not read is sent again through TCP, see handover.h */
	__u64 psock; /* that the sockhash has given it */
	__u64 fin_held_ns; /* see closing.h */
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
	__type(value, struct link);
} links SEC(".maps");

/* Consumed by the client that was answered, or by the accepted socket when its client is not ours. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, HANDSHAKES_MAX);
	__type(key, struct handshake);
	__type(value, struct answer);
} answers SEC(".maps");

/* Where a listener is, as a SYN that asks for it has it; see cookies.h. */
struct listening_at {
	__u64 net;
	struct endpoint local;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LISTENERS_MAX);
	__type(key, struct listening_at);
	__type(value, __u64); /* kernel address */
} listeners SEC(".maps");

/* Clients in the sockhash that wait for their server's end. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, HANDSHAKES_MAX);
	__type(key, struct handshake);
	__type(value, struct waiting_client);
} clients SEC(".maps");

/* A client's key -> its server's end, from pairing until the client first sends or closes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, ENDS_MAX / 4);
	__type(key, __u64);
	__type(value, struct end);
} servers SEC(".maps");

/* By cookie, for those that might come back: adopt.h. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, HANDSHAKES_MAX);
	__type(key, __u64);
	__type(value, struct left);
} left SEC(".maps");

/* Keys in the sockhash of sockets that want to leave and have no callback to do it by, until user space has taken them out. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, ENDS_MAX);
	__type(key, __u64);
	__type(value, __u32);
} leaving SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, BEHIND_MAX);
	__type(key, __u64);
	__type(value, enum behind);
} behind SEC(".maps");

/* Cookies of readers that user space looks for. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BEHIND_MAX);
	__type(key, __u64);
	__type(value, struct reader);
} readers SEC(".maps");

/* For the process, which is woken; without one it fills up, and nobody minds. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PROGRAMS_MAX);
	__type(key, struct executable);
	__type(value, struct program);
} programs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct learnt);
} learnt SEC(".maps");

static __always_inline struct learnt *all_learnt(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&learnt, &zero);
}

/* A socket of a program that is not known, which stays outside of the sockhash and is looked at there. */
struct observed {
	struct executable program;
	__u32 own_seq; /* its kernel address may have become another's: see own_seq() */
	__u32 segments; /* with data, that have counted */
	__u32 copied_seq; /* then */
	__u32 callbacks; /* that it has for us: see callbacks.h */
};

/* By kernel address: a socket may have no cookie yet. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, HANDSHAKES_MAX);
	__type(key, __u64);
	__type(value, struct observed);
} outsiders SEC(".maps");

/* By the listener's kernel address. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PROGRAMS_MAX);
	__type(key, __u64);
	__type(value, struct listening);
} listening SEC(".maps");

/* Cookies of sockets that are read beside the redirected queue while there is something in it, until user space has
 * handed that over to TCP, and how many bytes it is about to send again; see handover.h. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, BEHIND_MAX);
	__type(key, __u64);
	__type(value, __u32);
} beside SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct control);
} control SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct instance);
} instance SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

/* Connections that were left to TCP because bpf_sock_hash_update() failed in a way that has no counter, by its error's
 * number. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ERRORS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} refused_errors SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
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
	__uint(max_entries, 2 * RULES_MAX);
	__type(key, __u32);
	__type(value, __u64);
} rule_decisions SEC(".maps");
