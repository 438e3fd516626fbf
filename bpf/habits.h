/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What programs do with their sockets beyond recv(2) and send(2). sockmap gives redirected bytes to recv(2) and its like
 * (tcp_bpf_recvmsg()), to nobody else: splice(2), TCP_ZEROCOPY_RECEIVE and kTLS take from TCP's own queue and would wait for
 * ever, or take later bytes first. So what a program does is learnt, by its executable, before anything is redirected to it:
 *
 *   unknown         its sockets stay outside of the sockhash; what it has read there counts (learning.h)
 *   receives        after HABIT_MESSAGES of it, unless a hook has seen it do otherwise: bytes are redirected to it
 *   anything else   seen by a hook at the first time, also later: its connections leave, new ones of its listeners do not enter
 *
 * Hooks see it before the kernel does it: the functions themselves where fentry programs may be attached (at no cost until
 * they are called), else the entry of system calls. What a program does for the first time while redirected bytes wait for
 * it is mended: user space sends them again through the peer's TCP (handover.h). */
#pragma once

#include "architecture.h"
#include "bypassed.h"
#include "control.h"
#include "edges.h"
#include "events.h"
#include "executable.h"
#include "lane.h"
#include "learnt.h"
#include "options.h"
#include "socket.h"
#include "unknown_programs.h"
#include "waiters.h"

/* What a program does with its sockets, as far as it has been seen. After HABIT_RECEIVES, what sockmap cannot
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

/* A packet for `learn_code`: what has been found in a program's code. */
struct found_in_code {
	__u8 header[16]; /* what the kernel takes for Ethernet's */
	struct executable executable;
	enum in_code in_code; /* any of them */
	__u32 pad;
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

/* The program that listens on a socket. */
struct listening {
	__u64 inode; /* the socket's: its kernel address may have become another's */
	struct executable executable;
};

#define PROGRAMS_MAX 4096

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PROGRAMS_MAX);
	__type(key, struct executable);
	__type(value, struct program);
} programs SEC(".maps");

/* By the listener's kernel address. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PROGRAMS_MAX);
	__type(key, __u64);
	__type(value, struct listening);
} listening SEC(".maps");

/* So many messages tell how a program receives: more than a handshake of TLS, a greeting, a login. */
#define HABIT_MESSAGES 8

/* Something sees what programs do: else none is ever known. */
const volatile bool sees_habits = false;
const volatile enum fionread_counts fionread_counts = FIONREAD_TCP;

static __always_inline enum habit habit_of(const struct executable *executable)
{
	struct program *program = bpf_map_lookup_elem(&programs, executable);

	return program ? program->habit : HABIT_UNKNOWN;
}

/* Every socket looks up anew, at its next send, what the programs at its ends do. */
static __always_inline void habits_have_changed(void)
{
	struct learnt *learnt = all_learnt();

	if (learnt)
		__sync_fetch_and_add(&learnt->habits_changed, 1);
	begin_epoch();
}

/* Of a process that takes part. */
static __noinline int meet(const struct executable *executable, struct task_struct *task)
{
	struct program *program = bpf_map_lookup_elem(&programs, executable);
	struct event event = { .kind = EVENT_PROGRAM };
	struct program new = {};
	struct learnt *learnt;

	if (!is_known(executable) || (program && program->in_code & CODE_CHECKED))
		return 0;
	new.pid = READ(task, tgid);
	if (program && program->pid == new.pid)
		return 0;
	/* It may not last long. */
	event.pid = new.pid;
	report(&event);
	if (program) {
		program->pid = new.pid;
		return 0;
	}
	bpf_probe_read_kernel(new.name, sizeof(new.name), __builtin_preserve_access_index(&task->comm));
	bpf_map_update_elem(&programs, executable, &new, BPF_NOEXIST);
	learnt = all_learnt();
	if (learnt)
		__sync_fetch_and_add(&learnt->programs_found, 1);
	return 1;
}

static __noinline int learn(const struct executable *executable, enum habit habit)
{
	struct program *program = bpf_map_lookup_elem(&programs, executable);

	/* The first of those that cannot be served decides. */
	if (!program || program->habit > HABIT_RECEIVES || program->habit == habit)
		return 0;
	program->habit = habit;
	habits_have_changed();
	return 1;
}

static __noinline int note_code(struct found_in_code *found)
{
	struct executable executable = found->executable;
	struct program *program = bpf_map_lookup_elem(&programs, &executable);

	if (!program)
		return 0;
	program->in_code = found->in_code;
	habits_have_changed();
	return 1;
}

static __always_inline struct executable executable_of_peer(const struct lane *lane)
{
	struct executable executable = {};

	bpf_probe_read_kernel(&executable, sizeof(executable), (void *)lane->peer.lane + offsetof(struct lane, executable));
	return executable;
}

/* Who listens is who receives from those that are accepted, until they show another program when they send. */
static __noinline int remember_listener(struct sock *sk, const struct executable *executable)
{
	struct socket_alloc *alloc = (void *)READ(sk, sk_socket);
	struct listening value = {};
	__u64 address = (__u64)sk;

	if (!alloc || !is_known(executable))
		return 0;
	value.inode = READ(alloc, vfs_inode.i_ino);
	value.executable = *executable;
	bpf_map_update_elem(&listening, &address, &value, BPF_ANY);
	return 1;
}

static __always_inline struct executable executable_of_listener(struct sock *sk)
{
	struct socket_alloc *alloc = (void *)READ(sk, sk_socket);
	struct executable unknown = {};
	__u64 address = (__u64)sk;
	struct listening *found = bpf_map_lookup_elem(&listening, &address);

	if (!alloc || !found || found->inode != READ(alloc, vfs_inode.i_ino))
		return unknown;
	return found->executable;
}

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

/* A hook: the running process asks how much is unread.
 * @fd: -1 when it is not known */
static __noinline int asks_for_unread(struct sock *sk, int fd)
{
	struct control *now = current_control();
	struct executable executable;
	struct program *program;
	struct mm_struct *mm;
	enum edge_time how = EDGE_AT_ONCE;
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
	if (!psock_of(sk) || !is_miscounted(sk)) {
		note_asks(program, sk);
		return 0;
	}
	if (does_not_mind(program, sk))
		return 0;
	learn(&executable, HABIT_COUNTS);
	/* It may take what it is told for all there is, and wait for an edge. */
	cookie = READ(sk, __sk_common.skc_cookie.counter);
	bpf_map_update_elem(&edges_wanted, &cookie, &how, BPF_ANY);
	report_miscounted(sk, fd);
	return 0;
}

/* A hook: the running process does something with a socket that redirected bytes are not there for. */
static __noinline int has_habit(struct sock *sk, enum habit habit)
{
	struct mm_struct *mm = READ(current_task(), mm);
	struct executable executable;
	__u32 none = 0;
	__u64 cookie;

	if (!sk || !mm || !is_tcp(sk))
		return 0;
	executable = executable_of(mm);
	learn(&executable, habit);
	if (!psock_of(sk) || !unread_bytes(sk))
		return 0;
	cookie = READ(sk, __sk_common.skc_cookie.counter);
	bpf_map_update_elem(&bypassed, &cookie, &none, BPF_NOEXIST);
	return 0;
}

static __always_inline struct sock *socket_of_descriptor(unsigned int fd)
{
	struct task_struct *task = current_task();
	struct files_struct *files = field(task, files);
	struct fdtable *table;
	struct socket *socket;
	struct inode *inode;
	struct file *file;

	if (!files)
		return NULL;
	table = field(files, fdt);
	if (fd >= field(table, max_fds))
		return NULL;
	file = pointer_at(field(table, fd) + fd);
	if (!file)
		return NULL;
	file = cast_to(struct file, file);
	inode = field(file, f_inode);
	if ((field(inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = cast_to(struct socket, field(file, private_data));
	return field(socket, sk);
}

/* What the tracepoints of system calls give (struct syscall_tp_t, kernel/trace/trace_syscalls.c). The number has 64 bits on
 * older kernels; on later ones it has 32, and nobody clears those behind it. */
struct system_call_entry {
	__u64 common;
	__u32 call;
	__u32 uncertain;
	__u64 arguments[6];
};

static __always_inline void called(__u64 call, __u64 first, __u64 second, __u64 third)
{
	enum habit habit;

	if (call == SYSTEM_CALL(SPLICE))
		habit = HABIT_SPLICES;
	else if (call == SYSTEM_CALL(GETSOCKOPT) && second == SOL_TCP && third == TCP_ZEROCOPY_RECEIVE)
		habit = HABIT_MAPS;
	else if (call == SYSTEM_CALL(IOCTL) && (__u32)second == FIONREAD)
		habit = HABIT_COUNTS;
	else
		return;
	if (calls_as_32_bits(current_task()))
		return;
	if (habit == HABIT_COUNTS)
		asks_for_unread(socket_of_descriptor(first), first);
	else
		has_habit(socket_of_descriptor(first), habit);
}
