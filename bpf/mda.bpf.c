/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The data plane: a sockops program follows connections and pairs their ends, an sk_msg program redirects what one end
 * sends into the other end's receive queue. docs/how-it-works.md explains it. Here are only the programs, which the kernel or user space
 * calls: each idea has a header of its own, with its maps, and with the structs that user space shares (src/generated/layouts.ts). */
#include "adopt.h"
#include "answers.h"
#include "architecture.h"
#include "closing.h"
#include "connecting.h"
#include "control.h"
#include "cookies.h"
#include "dump.h"
#include "edges.h"
#include "established.h"
#include "handshake.h"
#include "hooks.h"
#include "instance.h"
#include "list.h"
#include "memory.h"
#include "packet.h"
#include "redirect.h"
#include "release.h"
#include "requests.h"
#include "resets.h"
#include "scan.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* Always returns 1: 0 turns into -EPERM and drops the replies of every other sockops program on the cgroup. */
SEC("sockops")
int follow(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;
	__u32 op = ops->op;

	/* Half of all calls are of these three kinds, and of RWND_INIT where nothing is to be done. */
	if (op == BPF_SOCK_OPS_TIMEOUT_INIT || op == BPF_SOCK_OPS_NEEDS_ECN || op == BPF_SOCK_OPS_BASE_RTT)
		return 1;
	if (op == BPF_SOCK_OPS_RWND_INIT) {
		if (!ops->is_fullsock)
			syn_answered(ops);
		return 1;
	}
	if (op == BPF_SOCK_OPS_HDR_OPT_LEN_CB && ops->args[0] == BPF_WRITE_HDR_TCP_SYNACK_COOKIE)
		syn_answered(ops);
	else if (!sk)
		return 1;
	else if (op == BPF_SOCK_OPS_TCP_CONNECT_CB)
		connects(sk);
	else if (op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
		client_established(ops, sk);
	else if (op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		server_established(ops, sk);
	else if (op == BPF_SOCK_OPS_STATE_CB || op == BPF_SOCK_OPS_RTT_CB)
		called_back(ops, sk);
	else if (op == BPF_SOCK_OPS_HDR_OPT_LEN_CB)
		make_room_for_option(ops, sk);
	else if (op == BPF_SOCK_OPS_WRITE_HDR_OPT_CB)
		write_option(ops, sk);
	else if (op == BPF_SOCK_OPS_TCP_LISTEN_CB)
		started_to_listen(ops, sk);
	return 1;
}

SEC("sk_msg")
int redirect(struct sk_msg_md *msg)
{
	return decide_message(msg);
}

/* The hooks, see hooks.h: functions of the kernel where programs may be attached to them, */
SEC("fentry/tcp_splice_read")
int sees_splice(__u64 *arguments)
{
	struct socket *socket = (void *)arguments[0];

	has_habit(READ(socket, sk), HABIT_SPLICES);
	return 0;
}

SEC("fentry/tcp_mmap")
int sees_mmap(__u64 *arguments)
{
	struct socket *socket = (void *)arguments[1];

	has_habit(READ(socket, sk), HABIT_MAPS);
	return 0;
}

SEC("fentry/tcp_ioctl")
int sees_ioctl(__u64 *arguments)
{
	if ((__u32)arguments[1] == FIONREAD)
		asks_for_unread((void *)arguments[0], -1);
	return 0;
}

/* since some kernels that way does not call the one above for FIONREAD, */
SEC("fentry/tcp_bpf_ioctl")
int sees_inq(__u64 *arguments)
{
	if ((__u32)arguments[1] == FIONREAD)
		asks_for_unread((void *)arguments[0], -1);
	return 0;
}

/* the same functions by breakpoints, */
SEC("kprobe")
int enters_splice(struct pt_regs *regs)
{
	struct socket *socket = (void *)FIRST(regs);

	has_habit(READ(socket, sk), HABIT_SPLICES);
	return 0;
}

SEC("kprobe")
int enters_mmap(struct pt_regs *regs)
{
	struct socket *socket = (void *)SECOND(regs);

	has_habit(READ(socket, sk), HABIT_MAPS);
	return 0;
}

/* tcp_ioctl() and tcp_bpf_ioctl() */
SEC("kprobe")
int enters_ioctl(struct pt_regs *regs)
{
	if ((__u32)SECOND(regs) == FIONREAD)
		asks_for_unread((void *)FIRST(regs), -1);
	return 0;
}

/* else the system calls that lead there, one by one, */
SEC("tracepoint")
int sees_system_call(struct system_call_entry *entry)
{
	called(entry->call, entry->arguments[0], entry->arguments[1], entry->arguments[2]);
	return 0;
}

/* else all of them. */
SEC("tp_btf/sys_enter")
int sees_system_calls(__u64 *arguments)
{
	struct pt_regs *regs = (void *)arguments[0];
	__u64 call = arguments[1];

	if (call != SYSTEM_CALL(SPLICE) && call != SYSTEM_CALL(GETSOCKOPT) && call != SYSTEM_CALL(IOCTL))
		return 0;
	called(call, FIRST(regs), SECOND(regs), THIRD(regs));
	return 0;
}

/* A socket is about to be reset by its peer. One that has callbacks leaves by them. */
SEC("tp_btf/tcp_receive_reset")
int sees_reset(__u64 *arguments)
{
	struct sock *sk = (void *)arguments[0];

	is_reset(sk);
	return 0;
}

/* Looks where the readers in `readers` are. */
SEC("iter/task_file")
int find_readers(struct bpf_iter__task_file *at)
{
	struct task_struct *task = at->task;
	struct file *file = at->file;

	if (task && file)
		find_if_wanted(task, file, at->fd);
	return 0;
}

/* Of those that no process has a descriptor of. */
SEC("iter/bpf_sk_storage_map")
int find_living(struct bpf_iter__bpf_sk_storage_map *at)
{
	struct sock *sk = at->sk;

	if (sk)
		note_if_wanted(sk);
	return 0;
}

/* Writes a struct scanned for each descriptor of a TCP socket of the cgroup. */
SEC("iter/task_file")
int scan_sockets(struct bpf_iter__task_file *at)
{
	struct task_struct *task = at->task;
	struct file *file = at->file;

	if (task && file)
		scan_socket(at, task, file);
	return 0;
}

/* Writes a struct listed_socket for each descriptor of a TCP socket. */
SEC("iter/task_file")
int list_sockets(struct bpf_iter__task_file *at)
{
	struct task_struct *task = at->task;
	struct file *file = at->file;

	if (task && file)
		list_socket(at, task, file);
	return 0;
}

/* Writes a struct listed_lane for each socket that has entered. */
SEC("iter/bpf_sk_storage_map")
int list_lanes(struct bpf_iter__bpf_sk_storage_map *at)
{
	struct lane *lane = at->value;
	struct sock *sk = at->sk;

	if (sk && lane)
		list_lane(at, sk, lane);
	return 0;
}

/* Programs that user space runs: see packet.h. What the rules say of a connection. */
SEC("tc")
int judge(struct __sk_buff *packet)
{
	struct adoption *adoption = packet_of(adoption, packet);

	return adoption ? judge_connection(packet, adoption->argument) : 0;
}

/* Pairs two ends that are in the sockhash; returns 1, or 0 when they are not the ends of one connection. */
SEC("tc")
int join(struct __sk_buff *packet)
{
	struct adoption *adoption = packet_of(adoption, packet);

	return adoption ? join_ends(adoption) : 0;
}

/* Makes a connection leave. */
SEC("tc")
int ask_to_leave(struct __sk_buff *packet)
{
	struct adoption *adoption = packet_of(adoption, packet);

	return adoption ? ask_client_to_leave(adoption) : 0;
}

/* Finds the sockets in the sockhash that want to leave and can now; with MODE_PASS set, all that can. */
SEC("tc")
int drain(struct __sk_buff *packet)
{
	struct release *release = packet_of(release, packet);

	return release ? release_all(release) : 0;
}

/* Says whether a program has splice(2) in its code. */
SEC("tc")
int learn_code(struct __sk_buff *packet)
{
	struct found_in_code *found = packet_of(found_in_code, packet);

	return found ? note_code(found) : 0;
}

/* Says how much a reader has unread. */
SEC("tc")
int count_behind(struct __sk_buff *packet)
{
	struct behind *behind = packet_of(behind, packet);

	return behind ? look_at_reader(behind) : 0;
}

/* Says whether TCP has no memory any more. */
SEC("tc")
int measure(struct __sk_buff *packet)
{
	return packet->len && tcp_memory_is_used_up();
}

/* Says that a process looks after readers for the next heartbeat_jiffies. */
SEC("tc")
int heartbeat(struct __sk_buff *packet)
{
	return packet->len ? note_heartbeat() : 0;
}

/* From now on what is sent is dumped: see dump.h. */
SEC("tc")
int start_dump(struct __sk_buff *packet)
{
	return packet->len && start_to_dump();
}
