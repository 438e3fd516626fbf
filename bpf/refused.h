/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which connections were left to TCP lately, and how many of each kind: for an operator who asks why. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "count.h"
#include "executable.h"

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

/* A power of two: cookies are given one after the other, so the last so many connections have a place each. */
#define REFUSED_PLACES 4096
#define REFUSED_KINDS_MAX 4096
#define REFUSED_KINDS_LATELY 16

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, REFUSED_PLACES);
	__type(key, __u32);
	__type(value, struct refused_connection);
} refusals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, REFUSED_KINDS_MAX);
	__type(key, struct refused_kind);
	__type(value, __u64);
} refused_kinds SEC(".maps");

/* What was counted lately on this CPU, and is not yet in `refused_kinds`: most connections that are refused one after the other are of
 * few kinds, and a hash costs each of them some 100 ns. */
struct refused_lately {
	struct refused_kind kind;
	__u64 times;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REFUSED_KINDS_LATELY);
	__type(key, __u32);
	__type(value, struct refused_lately);
} refused_lately SEC(".maps");

/* Not inlined: what it needs of the stack, which ends at 512 bytes, is there only meanwhile. */
static __noinline int count_refused_kind(const struct refused_connection *refused)
{
	__u32 place = (refused->port ^ refused->reason) % REFUSED_KINDS_LATELY;
	struct refused_lately *lately = bpf_map_lookup_elem(&refused_lately, &place);

	if (!lately)
		return 0;
	if (same_executable(&lately->kind.server, &refused->server) && lately->kind.port == refused->port && lately->kind.reason == refused->reason) {
		lately->times++;
		return 0;
	}
	/* When the hash is full, the sum of all is still in `counters`. */
	if (lately->times)
		count_key(&refused_kinds, &lately->kind, lately->times);
	lately->kind.server = refused->server;
	lately->kind.port = refused->port;
	lately->kind.reason = refused->reason;
	lately->times = 1;
	return 0;
}

/* @cookie: of the socket that was refused */
static __noinline int remember_refused(__u64 cookie, const struct executable *client, const struct executable *server, __u16 port,
				       __u32 reason)
{
	__u32 place = cookie % REFUSED_PLACES;
	struct refused_connection *refused = bpf_map_lookup_elem(&refusals, &place);

	if (!refused)
		return 0;
	refused->cookie = 0; /* a reader that comes now finds nothing, and not a mixture */
	barrier();
	if (client)
		refused->client = *client;
	else
		__builtin_memset(&refused->client, 0, sizeof(refused->client));
	refused->server = *server;
	refused->port = port;
	refused->reason = reason;
	refused->at_ns = bpf_ktime_get_ns();
	barrier();
	refused->cookie = cookie;
	return count_refused_kind(refused);
}

/* @refused: enum refusal, plus 1: why an end could not enter; 0: it could */
static __always_inline void refuse_end(__u8 *refused, enum refusal reason)
{
	count_refused(reason);
	*refused = reason + 1;
}
