/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who waits for a socket: the entries of its wait queue. */
#pragma once

#include "cast.h"
#include "socket.h"

#define WAITERS_MAX 8

/* The address of ep_poll_callback(), which user space learns by watching a socket of its own: 0 when it could not. */
const volatile __u64 epoll_callback = 0;

static __always_inline struct list_head *first_waiter(struct sock *sk, struct list_head **end)
{
	struct socket_wq *wq = READ(sk, sk_wq);

	if (!wq)
		return NULL;
	*end = __builtin_preserve_access_index(&wq->wait.head);
	return READ(*end, next);
}

static __always_inline struct wait_queue_entry *waiter_at(struct list_head *at)
{
	return (void *)at - bpf_core_field_offset(struct wait_queue_entry, entry);
}

/* Whether a thread is at this address: its group's leader is its own leader. */
static __always_inline bool is_thread(struct task_struct *task)
{
	struct task_struct *leader = READ(task, group_leader);

	return leader && READ(leader, group_leader) == leader;
}

/* A thread sleeps in recv(2) or send(2): its entry is of DEFINE_WAIT_FUNC(), which names the thread, where epoll's names
 * nobody and poll(2)'s names its table. Such a thread waits for TCP's own queue (sk_wait_data()), and would not notice
 * what is redirected. */
static __noinline int is_slept_on(struct sock *sk)
{
	struct list_head *end, *at = first_waiter(sk, &end);
	struct task_struct *sleeper;

	for (int i = 0; i < WAITERS_MAX; i++) {
		if (!at || at == end)
			return 0;
		sleeper = READ(waiter_at(at), private);
		if (is_thread(sleeper))
			return 1;
		at = READ(at, next);
	}
	return 1; /* too many to know */
}

/* Somebody waits for the socket, and nobody who does waits for edges. */
static __noinline int is_watched_by_level(struct sock *sk)
{
	struct list_head *end, *at = first_waiter(sk, &end);
	int watched = 0;

	if (!epoll_callback)
		return 0;
	for (int i = 0; i < WAITERS_MAX; i++) {
		struct wait_queue_entry *waiter;
		struct eppoll_entry *entry;
		__u32 events;

		if (!at || at == end)
			return watched;
		waiter = waiter_at(at);
		if ((__u64)READ(waiter, func) == epoll_callback) {
			entry = (void *)waiter - bpf_core_field_offset(struct eppoll_entry, wait);
			events = READ(entry, base, event.events);
			/* One that is watched for nothing yet may be for edges soon. */
			if (events & EPOLLET || !(events & (EPOLLIN | EPOLLOUT)))
				return 0;
		}
		watched = 1;
		at = READ(at, next);
	}
	return 0; /* too many to know */
}

/* Of the peer of a socket in the sockhash. Not static: the verifier looks at it once. */
__noinline int peer_is_watched_by_level(__u64 address)
{
	return is_watched_by_level(socket_at(address));
}
