/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the process is woken for. */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

enum event_kind {
	EVENT_MISCOUNTED, /* a program was told less than there is by FIONREAD, for a socket in the sockhash */
	EVENT_PROGRAM, /* a program was seen whose code was not looked at yet */
	EVENT_RESET, /* a socket in the sockhash is being reset by its peer */
	EVENT_BEHIND, /* a reader in the sockhash has come to need an edge */
	EVENT_CLOSED_UNREAD, /* a socket was closed with redirected bytes unread; `cookie` is its peer's */
};

/* A record of the ring buffer `events`, for what cannot wait until the process looks. */
struct event {
	enum event_kind kind;
	__u32 pid; /* in the host's PID namespace */
	__u64 cookie; /* of EVENT_MISCOUNTED, as what follows; of EVENT_RESET its key in the sockhash */
	__u64 inode; /* the socket's; of EVENT_BEHIND its key in the sockhash */
	__s32 fd; /* -1: not known */
	__u32 pad;
};

/* For the ends of a program with 20,000 connections that is killed. Without a process it fills up, and nobody minds. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/* Not inlined: BTF, and so TypeScript, knows structs that functions take. */
static __noinline int report(struct event *event)
{
	return bpf_ringbuf_output(&events, event, sizeof(*event), 0);
}
