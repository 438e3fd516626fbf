/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Programs that ask how much is unread (FIONREAD). For a socket in the sockhash most kernels count one of its two queues only, and a
 * program that takes the answer for all there is may wait for ever. How a program asks is seen while its sockets are TCP's: from that
 * follows whether it can be served (learning.h). One that is told less than there is has its connections leave, and the socket that it
 * has asked about gets an edge. */
#pragma once

#include "control.h"
#include "edges.h"
#include "events.h"
#include "flow.h"
#include "habits.h"
#include "socket.h"
#include "task.h"
#include "unknown_programs.h"
#include "waiters.h"

/* What FIONREAD counts of a socket in a sockmap that has bytes in both queues, as user space has found out by trying. */
enum fionread_counts {
	FIONREAD_TCP, /* TCP's queue: tcp_ioctl() */
	FIONREAD_REDIRECTED, /* the redirected one: the first tcp_bpf_ioctl() */
	FIONREAD_BOTH, /* the later tcp_bpf_ioctl() */
};

const volatile enum fionread_counts fionread_counts = FIONREAD_TCP;

/* How a program asks with FIONREAD, as it was seen while its sockets were TCP's. */
enum asks {
	ASKS_UNREAD = 1, /* while there was something to read */
	ASKS_EMPTY = 2, /* while there was nothing, and the stream had not ended */
	ASKS_ON_EDGES = 4, /* and nobody was seen who waits for its socket by level */
};

/* FIONREAD would be answered with less than there is, for a socket in the sockhash. */
static __always_inline bool is_miscounted(struct sock *sk)
{
	struct tcp_sock *tp = (void *)sk;

	if (fionread_counts == FIONREAD_BOTH)
		return false;
	if (fionread_counts == FIONREAD_REDIRECTED)
		return READ(tp, copied_seq) != READ(tp, rcv_nxt);
	return unread_bytes(sk) > 0;
}

/* It asks how much is unread, and is answered right. */
static __always_inline void note_asks(struct program *program, struct sock *sk)
{
	struct tcp_sock *tp = (void *)sk;
	__u32 asks = is_watched_by_level(sk) ? 0 : ASKS_ON_EDGES;

	if (READ(tp, copied_seq) != READ(tp, rcv_nxt) || unread_bytes(sk))
		asks |= ASKS_UNREAD;
	else if (READ(sk, __sk_common.skc_state) == BPF_TCP_ESTABLISHED)
		asks |= ASKS_EMPTY;
	if ((program->asks & asks) != asks)
		program->asks |= asks;
}

/* Who is woken as long as there is something does not wait in vain for what it was not told of, if it does not take that for the
 * end: wrk asks so. */
static __always_inline bool does_not_mind(const struct program *program, struct sock *sk)
{
	return (program->asks & ASKS_EMPTY || unknown_programs == UNKNOWN_FAST) && is_watched_by_level(sk);
}

/* What a program asks with FIONREAD is not always answered right inside of the sockhash. */
static __always_inline bool may_be_told_wrong(const struct program *program)
{
	if (fionread_counts == FIONREAD_BOTH)
		return false;
	return program->asks & ASKS_ON_EDGES || (program->asks & ASKS_UNREAD && !(program->asks & ASKS_EMPTY));
}

/* Only of programs that have been seen to take part. */
static __always_inline struct program *program_of_mm(struct mm_struct *mm, struct executable *executable)
{
	*executable = executable_of(mm);
	return bpf_map_lookup_elem(&programs, executable);
}

/* The process takes the socket out, or makes edges until it can. */
static __noinline int report_miscounted(struct sock *sk, int fd)
{
	struct socket_alloc *alloc = (void *)READ(sk, sk_socket);
	struct event event = { .kind = EVENT_MISCOUNTED, .fd = fd };

	event.cookie = READ(sk, __sk_common.skc_cookie.counter);
	event.inode = READ(alloc, vfs_inode.i_ino);
	event.pid = bpf_get_current_pid_tgid() >> 32;
	return report(&event);
}

/* Another's sockmap, or one that tries what FIONREAD counts here (probe.bpf.c), does not tell how a program would be answered of ours. */
static __always_inline bool is_in_anothers_sockmap(struct sk_psock *psock)
{
	struct bpf_prog *prog = READ(psock, progs.msg_parser);
	const char ours[] = "redirect"; /* the sk_msg program of mda.bpf.c */
	char name[sizeof(ours)] = {};
	struct bpf_prog_aux *aux;

	if (!prog)
		return true;
	aux = READ(prog, aux);
	bpf_probe_read_kernel(name, sizeof(name), __builtin_preserve_access_index(&aux->name));
	for (__u32 i = 0; i < sizeof(ours); i++) {
		if (name[i] != ours[i])
			return true;
	}
	return false;
}

/* A hook: the running process asks how much is unread.
 * @fd: -1 when it is not known */
static __noinline int asks_for_unread(struct sock *sk, int fd)
{
	struct control *now = current_control();
	struct executable executable;
	struct program *program;
	struct sk_psock *psock;
	struct mm_struct *mm;
	__u64 cookie;

	/* Nearly all who ask are not concerned. */
	if (!sk || !now || (!now->learning && !field(socket_at(sk), sk_user_data)))
		return 0;
	mm = READ(current_task(), mm);
	if (!mm || !is_tcp(sk))
		return 0;
	program = program_of_mm(mm, &executable);
	if (!program)
		return 0;
	psock = psock_of(sk);
	if (psock && is_in_anothers_sockmap(psock))
		return 0;
	if (!psock || !is_miscounted(sk)) {
		note_asks(program, sk);
		return 0;
	}
	if (does_not_mind(program, sk))
		return 0;
	learn(&executable, HABIT_COUNTS);
	/* It may take what it is told for all there is, and wait for an edge. */
	cookie = READ(sk, __sk_common.skc_cookie.counter);
	want_edge_at_once(cookie);
	report_miscounted(sk, fd);
	return 0;
}
