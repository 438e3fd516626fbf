/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What happens to connections, one record each, for an operator who listens; nothing is written, and next to nothing done, while nobody
 * does. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "connection.h"
#include "executable.h"
#include "lane.h"
#include "lease.h"
#include "socket.h"

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

/* Who listens: one process. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lease);
} tracing SEC(".maps");

/* Where each struct trace is written for it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct ring);
} traces SEC(".maps");

static __always_inline void trace_end(struct traced_end *end, const struct lane *lane)
{
	end->executable = lane->executable;
	end->messages = lane->messages;
	end->bytes = lane->bytes;
	end->passed_messages = lane->passed_messages;
	end->passed_bytes = lane->passed_bytes;
}

/* Of a lane by its address. */
static __always_inline struct executable executable_at(__u64 lane)
{
	struct executable executable = {};

	bpf_probe_read_kernel(&executable, sizeof(executable), (void *)lane + offsetof(struct lane, executable));
	return executable;
}

#define account_at(address, field) ((__u64)pointer_at((void *)(address) + offsetof(struct lane, field)))

/* Nobody is woken: who listens looks often enough, and a call of the scheduler each time is what connections would feel most. */
static __noinline int write_trace(struct trace *trace)
{
	__u32 zero = 0;
	void *ring = bpf_map_lookup_elem(&traces, &zero);

	if (!ring || bpf_ringbuf_output(ring, trace, sizeof(*trace), BPF_RB_NO_WAKEUP))
		lose_record(&tracing);
	return 0;
}

static __always_inline void trace_socket(struct trace *trace, struct sock *sk, enum trace_kind kind, __u32 reason)
{
	trace->ns = bpf_ktime_get_ns();
	trace->kind = kind;
	trace->reason = reason;
	trace->netns = READ(sk, __sk_common.skc_net.net, ns.inum);
	trace->owner = owner_of(sk);
	local_endpoint((void *)sk, &trace->local);
	remote_endpoint((void *)sk, &trace->remote);
}

/* A socket in the sockhash, or that has just left it. */
static __noinline int trace_lane(struct sock *sk, struct lane *lane, __u32 kind, __u32 reason)
{
	struct trace trace = {};

	if (!is_leased(&tracing) || !lane || !sk)
		return 0;
	trace_socket(&trace, sk, kind, reason);
	trace.key = lane->key;
	trace.age_ns = trace.ns - lane->since_ns;
	trace_end(&trace.own, lane);
	if (lane->peer.tcp_sock && is_still(lane, (void *)lane->peer.tcp_sock)) {
		trace.peer.executable = executable_at(lane->peer.lane);
		trace.peer.messages = account_at(lane->peer.lane, messages);
		trace.peer.bytes = account_at(lane->peer.lane, bytes);
		trace.peer.passed_messages = account_at(lane->peer.lane, passed_messages);
		trace.peer.passed_bytes = account_at(lane->peer.lane, passed_bytes);
	}
	return write_trace(&trace);
}

/* A client that was refused at its handshake. */
static __noinline int trace_refused(struct sock *sk, const struct executable *client, const struct executable *server, __u32 reason)
{
	struct trace trace = {};

	if (!is_leased(&tracing) || !sk)
		return 0;
	trace_socket(&trace, sk, TRACE_REFUSED, reason);
	trace.key = READ(sk, __sk_common.skc_cookie.counter) << 1;
	if (client)
		trace.own.executable = *client;
	if (server)
		trace.peer.executable = *server;
	return write_trace(&trace);
}
