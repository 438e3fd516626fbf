/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What happens to connections, one record each, for an operator who listens; nothing is written, and next to nothing done, while nobody
 * does. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "lane.h"
#include "socket.h"
#include "types.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} traces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tracing);
} tracing SEC(".maps");

/* Who listens says so again and again: one that was killed is listened to no more within seconds. */
static __always_inline struct tracing *listened_to(void)
{
	__u32 zero = 0;
	struct tracing *now = bpf_map_lookup_elem(&tracing, &zero);

	return now && now->until_ns && now->until_ns > bpf_ktime_get_ns() ? now : NULL;
}

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

static __noinline int write_trace(struct trace *trace)
{
	struct tracing *now = listened_to();

	if (now && bpf_ringbuf_output(&traces, trace, sizeof(*trace), 0))
		__sync_fetch_and_add(&now->lost, 1);
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

	if (!listened_to() || !lane || !sk)
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

	if (!listened_to() || !sk)
		return 0;
	trace_socket(&trace, sk, TRACE_REFUSED, reason);
	trace.key = READ(sk, __sk_common.skc_cookie.counter) << 1;
	if (client)
		trace.own.executable = *client;
	if (server)
		trace.peer.executable = *server;
	return write_trace(&trace);
}
