/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What user space and the kernel side both see: map keys and values. src/generated/layouts.ts is generated from their BTF. */
#pragma once

#include <linux/types.h>
#include "reasons.h"

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
	MODE_WITHOUT_MEMORY, /* the same, until TCP has memory again */
};

struct endpoint {
	__u8 family; /* 4 or 6; an IPv4-mapped address is 4 */
	__u8 pad;
	__u16 port; /* host order */
	__u8 address[16]; /* network order; IPv4 in the first four */
};

struct owner {
	__u32 uid;
	__u32 gid;
};

/* What the data plane is told while it works. */
struct control {
	enum mode mode; /* first in every version, so that each can stop each */
	__u32 epoch; /* another number whenever what was decided of lanes may be wrong: see lane.h */
	__u32 rules_slot; /* which of the two rule sets holds */
	__u32 scan_members; /* a scan is also for sockets that are in a sockmap, all of them */
	__u64 heartbeat_until; /* jiffies; a process makes edges until then, see edges.h */
	__u64 cgroup_id; /* sockets of this cgroup and those below it can be adopted */
	__u32 heartbeat_from; /* the process that has said it last: its number in the host's PID namespace */
	__u32 all_watched; /* all hooks are attached; else those that the programs need which are CODE_WATCHED */
	__u32 learning; /* there are programs of which nothing is known */
	__u32 pad;
};

/* What becomes of programs whose habits are not known. */
enum unknown_programs {
	UNKNOWN_STRICT, /* TCP, until they are, and for ever when they have splice(2) */
	UNKNOWN_LEARN, /* TCP, until they are */
	UNKNOWN_FAST, /* redirected from the first byte on */
};

#define PATH_BYTES 1024

/* Who runs the data plane, for those who look at it from outside. */
struct instance {
	__u32 pid; /* first in every version; in the PID namespace it was started in; 0: no process belongs to it */
	__u32 rules;
	__u64 started_ms; /* since 1970 */
	char layout[16]; /* a hash of what maps are like and mean: equal ones can share them */
	__u32 all_sockets;
	enum unknown_programs unknown_programs;
	char hooks[16]; /* where it can be seen how */
	char cgroup[PATH_BYTES];
	char config[PATH_BYTES];
};

enum request_state {
	REQUEST_WAITS,
	REQUEST_DONE,
	REQUEST_FAILED, /* the rules are those that there were */
};

/* A command asks the process that runs the data plane to read its configuration again. One writes it, the other answers. */
struct reload_request {
	__u64 asked_ms; /* since 1970 */
	__u32 reapply; /* also for the connections that are there */
	enum request_state state;
};

/* What a program does with its sockets, as far as it has been seen; see habits.h. After HABIT_RECEIVES, what sockmap cannot
 * serve. */
enum habit {
	HABIT_UNKNOWN,
	HABIT_RECEIVES, /* with recv(2) and its like */
	HABIT_COUNTS, /* asks how much is unread (FIONREAD), of which the kernel counts one of the two queues only */
	HABIT_SPLICES, /* splice(2) from a socket */
	HABIT_MAPS, /* TCP_ZEROCOPY_RECEIVE */
	HABIT_URGENT, /* sends with MSG_OOB */
	HABIT_ZEROCOPY, /* sends with MSG_ZEROCOPY */
	HABIT_PROTOCOL, /* sets a ULP, kTLS say, on a socket that is connected, or gives it to the kernel (nbd) */
};

/* A program by its file. */
struct executable {
	__u64 inode;
	__u32 device;
	__u32 generation;
};

/* What FIONREAD counts of a socket in a sockmap that has bytes in both queues, as user space has found out by trying. */
enum fionread_counts {
	FIONREAD_TCP, /* TCP's queue: tcp_ioctl() */
	FIONREAD_REDIRECTED, /* the redirected one: the first tcp_bpf_ioctl() */
	FIONREAD_BOTH, /* the later tcp_bpf_ioctl() */
};

/* How a program asks with FIONREAD, as it was seen while its sockets were TCP's. */
enum asks {
	ASKS_UNREAD = 1, /* while there was something to read */
	ASKS_EMPTY = 2, /* while there was nothing, and the stream had not ended */
	ASKS_ON_EDGES = 4, /* and nobody was seen who waits for its socket by level */
};

/* Changed by the kernel's side alone. */
struct learnt {
	__u32 habits_changed; /* how often what is known of a program has */
	__u32 programs_found; /* how often one was seen for the first time */
	__u32 sockets_leaving; /* how often one was put into `leaving`, which takes long to look through */
	__u32 pad;
	__u64 tcp_prot; /* kernel address of a struct proto of TCP, which knows TCP's memory; 0: no socket has entered yet */
};

/* What user space has found in a program's code, or in a library's that it uses. */
enum in_code {
	CODE_CHECKED = 1, /* it was looked at */
	CODE_SPLICES = 2, /* splice(2) */
	CODE_COUNTS = 4, /* FIONREAD */
	CODE_MAPS = 8, /* TCP_ZEROCOPY_RECEIVE */
	CODE_WATCHED = 16, /* the hooks for what was found are attached */
};

struct program {
	enum habit habit;
	enum in_code in_code; /* any of them */
	__u32 messages; /* that it has read from TCP while its habit was not known */
	__u32 asks; /* enum asks */
	__u32 pid; /* a process of it, in the host's PID namespace */
	char name[16]; /* of the process that was seen first */
};

/* The program that listens on a socket. */
struct listening {
	__u64 inode; /* the socket's: its kernel address may have become another's */
	struct executable executable;
};

/* A socket that went back to plain TCP, and what it has sent since the scans began to look. */
struct departure {
	enum leave why;
	__u32 data_segs_out;
	__u64 bytes_sent;
	__u32 recent_segments; /* of the last scans, the bytes of which were enough to tell */
	__u32 recent_bytes;
};

enum scanned_kind {
	SCANNED_LISTENER,
	SCANNED_CONNECTED, /* and not in any sockmap */
	SCANNED_MEMBER, /* connected, in a sockmap; found only on request, in blocking mode or stuck */
	SCANNED_MPTCP_LISTENER, /* what it accepts may be plain TCP */
	SCANNED_CLOSED, /* in a sockmap, shut down, reset or timed out, and not yet closed by its program */
};

/* A TCP socket of the cgroup, as a scan of all descriptors finds it. */
struct scanned {
	__u64 sock; /* kernel address: a socket may have several descriptors */
	__u64 cookie; /* 0: it has none yet */
	__u64 net; /* kernel address of its network namespace */
	__u32 pid; /* in the PID namespace of who scans */
	__u32 fd;
	enum scanned_kind kind;
	/* The two ends' initial sequence numbers, see adopt.h. */
	__u32 own_seq;
	__u32 peer_seq;
	struct owner owner;
	struct endpoint local;
	struct endpoint remote;
	struct executable executable;
	enum habit habit;
	enum leave left; /* STAY: it was never in the sockhash */
	__u32 recent_segments;
	__u32 recent_bytes;
	__u32 mss;
	__u32 blocking; /* of a member, now */
	__u32 stuck; /* its program waits until it can send, while nothing is on its way that could end that */
	__u32 pad;
	__u64 unread_bytes; /* redirected to a member */
};

/* A TCP socket that has a descriptor, as an operator looks at it. One that several have comes several times. */
struct listed_socket {
	__u64 sock; /* kernel address */
	__u64 cookie; /* 0: it has none yet */
	__u32 netns; /* the inode of its network namespace */
	__u32 pid; /* in the PID namespace of who looks */
	__u32 fd;
	/* The two ends' initial sequence numbers, see adopt.h. */
	__u32 own_seq;
	__u32 peer_seq;
	struct owner owner;
	struct endpoint local;
	struct endpoint remote;
	struct executable executable;
	enum habit habit;
	__u32 tcp_unread; /* bytes in TCP's queue */
	__u8 state; /* TCP's */
	__u8 blocking;
	__u8 protocol; /* it has a ULP, or is MPTCP's listener */
	__u8 is_kernels;
	__u8 in_cgroup;
	__u8 in_sockmap; /* of whomever */
	__u16 pad;
};

/* What the data plane has of a socket that has entered the sockhash. */
struct listed_lane {
	__u64 cookie;
	__u64 key; /* in the sockhash: of both ends but for the lowest bit, which the server's has */
	__u64 age_ns; /* since it has entered */
	__u64 left_ns; /* since it has left; 0: it is there */
	__u64 messages;
	__u64 bytes;
	__u64 passed_messages;
	__u64 passed_bytes;
	__u64 unread_bytes; /* redirected */
	__u32 idle_jiffies; /* since its last message; since long ago when there was none */
	__u32 passed_for; /* enum pass: why the last that passed did */
	enum leave leave;
	__u32 on_tcp; /* the last message passed, as only then the next one may have to (order.h) */
	__u32 paired;
	__u32 netns;
	struct endpoint local;
	struct endpoint remote;
	__u32 tcp_unread;
	__u32 state; /* TCP's */
};

enum trace_kind {
	TRACE_PAIRED, /* both ends have entered at their handshake */
	TRACE_ADOPTED, /* both ends have entered, of a connection that was open */
	TRACE_REFUSED, /* `reason`: enum refusal */
	TRACE_LEFT, /* a socket has gone back to TCP; `reason`: enum leave */
	TRACE_HANDED_OVER, /* the same, after what was redirected and not read was sent again through TCP */
	TRACE_ENDED, /* a connection was closed whose ends were in the sockhash */
};

struct traced_end {
	struct executable executable; /* all 0: not known */
	__u64 messages;
	__u64 bytes;
	__u64 passed_messages;
	__u64 passed_bytes;
};

/* One of what happens to connections, see trace.h. */
struct trace {
	__u64 ns; /* CLOCK_MONOTONIC */
	__u64 key; /* the connection's: the client's cookie << 1, plus 1 when `own` is the server's end */
	__u64 age_ns; /* since it has entered */
	enum trace_kind kind;
	__u32 reason;
	__u32 netns;
	__u32 pad;
	struct owner owner;
	struct endpoint local;
	struct endpoint remote;
	struct traced_end own;
	struct traced_end peer; /* all 0: not known, or gone */
};

/* Who listens to `traces`: one process. */
struct tracing {
	__u64 until_ns; /* CLOCK_MONOTONIC */
	__u64 lost; /* for want of room */
	__u32 pid; /* in its own PID namespace */
	__u32 pad;
};

enum event_kind {
	EVENT_MISCOUNTED, /* a program was told less than there is by FIONREAD, for a socket in the sockhash */
	EVENT_PROGRAM, /* a program was seen whose code was not looked at yet */
	EVENT_RESET, /* a socket in the sockhash is being reset by its peer */
	EVENT_CLOSED_UNREAD, /* a socket was closed with redirected bytes unread; `cookie` is its peer's */
};

/* A record of the ring buffer `events`, for what cannot wait until the process looks. */
struct event {
	enum event_kind kind;
	__u32 pid; /* in the host's PID namespace */
	__u64 cookie; /* of EVENT_MISCOUNTED, as what follows; of EVENT_RESET its key in the sockhash */
	__u64 inode; /* the socket's */
	__s32 fd; /* -1: not known */
	__u32 pad;
};

/* Who needs an edge, and when. */
enum edge_time {
	EDGE_WHEN_READ, /* it was full: once its redirected bytes are read */
	EDGE_AT_ONCE, /* it has asked how much is unread, and was told less than there is */
};

/* A reader that could not take more redirected bytes, and where it was last seen. */
struct reader {
	__u32 pid; /* in the PID namespace of who looks; 0 until it is looked for */
	__u32 fd;
	__u64 unread_bytes; /* redirected to it */
	__u32 at_once; /* it needs an edge although it has redirected bytes unread */
	__u32 pad;
};

/* A packet for `check`: what has been found in a program's code. */
struct found_in_code {
	__u8 header[16]; /* what the kernel takes for Ethernet's */
	struct executable executable;
	enum in_code in_code; /* any of them */
	__u32 pad;
};

#define RELEASE_KEYS 64

/* A packet for a program that looks at sockets of the sockhash, one after the other. */
struct release {
	__u8 header[16]; /* what the kernel takes for Ethernet's */
	__u64 keys[RELEASE_KEYS]; /* 0: none. Comes back with 0 where nothing is left to do */
	__u64 ready; /* bit i: keys[i] can be deleted from the sockhash now, which is for user space to do */
};

/* NAT gives an end two names: its own view and its peer's. */
struct connection {
	struct endpoint client[2];
	struct endpoint server[2];
	struct owner client_owner;
	struct owner server_owner;
};

/* A packet for `judge`, `join` and `ask_to_leave`; for `join` the connection has the server's addresses only. */
struct adoption {
	__u8 header[16];
	__u64 client_key; /* in the sockhash; the server's is the next */
	__u64 client_cookie;
	__u64 server_cookie;
	struct connection connection;
	struct executable client_executable;
	struct executable server_executable;
	__u32 argument; /* `judge`: count the decision; `ask_to_leave`: enum leave */
	__u32 pad;
};

/* A connection that was left to TCP at its handshake. */
struct refused_connection {
	__u64 cookie; /* of the end that was refused; 0: none */
	__u64 at_ns; /* CLOCK_MONOTONIC */
	struct executable client; /* all 0: not known */
	struct executable server;
	__u16 port; /* the listener's, host order */
	__u16 pad;
	__u32 reason; /* enum refusal */
};

/* Refused connections that have all of this in common are counted together. */
struct refused_kind {
	struct executable server;
	__u16 port;
	__u16 reason;
	__u32 pad;
};

/* One a CPU. A message is one verdict of the sk_msg program. */
struct counters {
	__u64 connections_paired; /* by their handshake */
	__u64 connections_adopted; /* that were there before */
	__u64 redirected_messages;
	__u64 redirected_bytes;

	__u64 refused[REFUSALS_END];
	__u64 passed[PASSES_END];
	__u64 left[LEAVE_END];
};
