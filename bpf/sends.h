/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How many sends of a socket are under way. Each sockmap that the socket is in holds a reference to its psock, ours one of them;
 * tcp_bpf_sendmsg() holds another from before the verdict until after the message is in the peer's queue. */
#pragma once

#include <linux/types.h>
#include "architecture.h"
#include "cast.h"
#include "registers.h"
#include "socket.h"
#include "task.h"
#include "waiters.h"

#define SOCKMAPS_MAX 4
/* So often it is looked whether what others have sent has come: for some microseconds, where they run. */
#define ARRIVAL_LOOKS 256

static __noinline int sends_under_way(struct sk_psock *psock)
{
	int references = READ(psock, refcnt.refs.counter);
	struct list_head *head = __builtin_preserve_access_index(&psock->link);
	struct list_head *at = READ(head, next);

	for (int i = 0; i < SOCKMAPS_MAX && at && at != head; i++) {
		references--;
		at = READ(at, next);
	}
	return references;
}

/* The same from a callback. Not static: the verifier looks at it once. */
__noinline int sends_of(__u64 psock)
{
	return sends_under_way((void *)psock);
}

/* It is in send(2) or the like, of one of the two. Others lock a socket in a system call of that name as well: ss(8), by sendmsg(2) of a
 * socket of its own. Not static: the verifier looks at it once.
 *
 * All are addresses. */
__noinline int is_sending(__u64 thread, __u64 own, __u64 peer)
{
	struct task_struct *task = cast_to(struct task_struct, thread);
	struct pt_regs *regs = registers_of(task);
	__u64 call, sk;

	if (!regs || calls_as_32_bits(task))
		return 0;
	call = CALLED(regs);
	if (call != SYSTEM_CALL(SENDTO) && call != SYSTEM_CALL(SENDMSG) && call != SYSTEM_CALL(SENDMMSG) && call != SYSTEM_CALL(WRITE) &&
	    call != SYSTEM_CALL(WRITEV))
		return 0;
	sk = (__u64)socket_of_descriptor(task, FIRST(regs));
	return sk && (sk == own || sk == peer);
}

/* A thread, asleep in recv(2) of the socket, or in send(2) until there is memory, before the verdict. Not static: as above.
 *
 * @but_senders: not the latter */
__noinline int is_sleeper(__u64 thread, __u64 own, __u32 but_senders)
{
	return is_thread((void *)thread) && !(but_senders && is_sending(thread, own, 0));
}

/* Its address, as a number. */
static __always_inline __u64 thread_of(struct wait_queue_entry *waiter)
{
	return (__u64)pointer_at(__builtin_preserve_access_index(&waiter->private));
}

/* Threads that wait for the socket's lock (__lock_sock()) in a send: before its verdict, or behind it and with the message in the queue. */
static __noinline int senders_at_lock(__u64 own, __u64 peer)
{
	struct sock *sk = socket_at(own);
	struct list_head *end = __builtin_preserve_access_index(&sk->sk_lock.wq.head);
	struct list_head *at = READ(end, next);
	int senders = 0;

	for (int i = 0; i < WAITERS_MAX && at && at != end; i++) {
		senders += is_sending(thread_of(waiter_at(at)), own, peer);
		at = READ(at, next);
	}
	return senders;
}

static __noinline int sleepers_of(__u64 own, __u32 but_senders)
{
	struct list_head *end, *at = first_waiter(socket_at(own), &end);
	int sleepers = 0;

	for (int i = 0; i < WAITERS_MAX && at && at != end; i++) {
		sleepers += is_sleeper(thread_of(waiter_at(at)), own, but_senders);
		at = READ(at, next);
	}
	return sleepers;
}

/* No other send of the socket can be between its verdict and its peer's queue. From a verdict, under the socket's lock: who waits for that
 * can only become more, and is counted before the references that it holds; a sleeper may come and go, and is one before and after. Who was
 * asleep may wait for the lock now.
 *
 * @psock: its own; both are addresses. Not static: the verifier looks at it once. */
__noinline int sends_alone(__u64 psock, __u64 peer)
{
	__u64 own = (__u64)pointer_at(__builtin_preserve_access_index(&((struct sk_psock *)psock)->sk));
	int waiting, sleeping, still_sleeping, sends;

	if (sends_under_way((void *)psock) == 1)
		return 1;
	waiting = senders_at_lock(own, peer);
	sleeping = sleepers_of(own, waiting);
	sends = sends_under_way((void *)psock);
	still_sleeping = sleepers_of(own, waiting);
	if (still_sleeping < sleeping)
		sleeping = still_sleeping;
	return sends <= 1 + waiting + sleeping;
}

/* Waits, a moment, until that is so. Whoever is on another CPU needs no more than the peer's lock; one that was preempted may take longer.
 * Not static: as above. */
__noinline int others_have_come(__u64 psock, __u64 peer)
{
	for (int i = 0; i < ARRIVAL_LOOKS; i++) {
		if (sends_alone(psock, peer))
			return 1;
	}
	return 0;
}
