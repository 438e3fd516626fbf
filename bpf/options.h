/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a program asks of a socket, or of a single send, that redirected bytes do not have. */
#pragma once

#include "architecture.h"
#include "cast.h"
#include "registers.h"
#include "socket.h"
#include "task.h"

/* What the message is sent with; 0 for system calls without flags. */
static __always_inline unsigned long flags_of_send(struct pt_regs *regs)
{
	unsigned long call;

	if (is_arm64) {
		call = field(regs, syscallno);
		if (call == ARM64_SENDTO || call == ARM64_SENDMMSG)
			return field(regs, regs[3]);
		return call == ARM64_SENDMSG ? field(regs, regs[2]) : 0;
	}
	call = field(regs, orig_ax);
	if (call == X86_64_SENDTO || call == X86_64_SENDMMSG)
		return field(regs, r10);
	return call == X86_64_SENDMSG ? field(regs, dx) : 0;
}

/* What io_uring sends is not seen. */
static __always_inline unsigned long flags_sent_with(struct task_struct *task)
{
	struct pt_regs *regs = registers_of(task);

	return regs ? flags_of_send(regs) : 0;
}

/* Flags that only TCP knows to honour. With MSG_FASTOPEN a send fails (EISCONN), or is a connect. */
#define SPECIAL_FLAGS (MSG_OOB | MSG_ZEROCOPY | MSG_FASTOPEN)

/* The reader has asked for what redirected bytes do not have: an urgent byte among them, the time of their arrival, a place
 * to peek at, their number beside them (TCP_INQ), a filter that they pass (SO_ATTACH_FILTER, SO_ATTACH_BPF); or it is being
 * checkpointed, or was given to the kernel for block I/O. */
static __always_inline bool has_special_option(struct sock *sk)
{
	const unsigned long flags = 1ul << bpf_core_enum_value(enum sock_flags, SOCK_URGINLINE) |
				    1ul << bpf_core_enum_value(enum sock_flags, SOCK_RCVTSTAMP) |
				    1ul << bpf_core_enum_value(enum sock_flags, SOCK_TIMESTAMPING_RX_SOFTWARE) |
				    1ul << bpf_core_enum_value(enum sock_flags, SOCK_MEMALLOC);
	struct tcp_sock *tp = (void *)sk;

	if (field(sk, __sk_common.skc_flags) & flags || field(sk, sk_peek_off) >= 0 || field(sk, sk_filter))
		return true;
	if (casts_addresses)
		return BPF_CORE_READ_BITFIELD(tp, recvmsg_inq) || BPF_CORE_READ_BITFIELD(tp, repair);
	return BPF_CORE_READ_BITFIELD_PROBED(tp, recvmsg_inq) || BPF_CORE_READ_BITFIELD_PROBED(tp, repair);
}

/* Each completion is counted by the send that it belongs to, and a message that passes from inside of the sockhash is sent in
 * parts (tcp_bpf_push()). */
static __always_inline bool sends_zerocopy(struct sock *sk)
{
	return READ(sk, __sk_common.skc_flags) & 1ul << bpf_core_enum_value(enum sock_flags, SOCK_ZEROCOPY);
}

/* When its segments are sent or acknowledged it wants to be told (SO_TIMESTAMPING). */
static __always_inline bool stamps_what_it_sends(struct sock *sk)
{
	/* Of 16 or of 32 bits: the macros for bit fields read what the kernel has. */
	return casts_addresses ? BPF_CORE_READ_BITFIELD(sk, sk_tsflags) != 0 : BPF_CORE_READ_BITFIELD_PROBED(sk, sk_tsflags) != 0;
}

/* Its program wants it to be paced: by SO_MAX_PACING_RATE, or by a congestion control of its choice that paces. That a whole host
 * paces (net.ipv4.tcp_congestion_control, net.core.default_qdisc) is for networks, and means nobody here. */
static __always_inline bool is_paced(struct sock *sk)
{
	struct inet_connection_sock *icsk = (void *)sk;

	if (!field(sk, sk_pacing_status))
		return false;
	if (field(sk, sk_max_pacing_rate) != ~0ul)
		return true;
	return casts_addresses ? BPF_CORE_READ_BITFIELD(icsk, icsk_ca_setsockopt) :
				 BPF_CORE_READ_BITFIELD_PROBED(icsk, icsk_ca_setsockopt);
}
