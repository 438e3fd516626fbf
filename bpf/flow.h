/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Flow: a reader that has its receive buffer full of redirected bytes gets no more of them. The next message
 * goes through TCP, whose window then holds the sender as it always does: no EAGAIN, no ENOMEM, bounded memory.
 *
 * TCP has promised its window before the redirected bytes came, which share the reader's buffer. Segments for which no room is left are
 * thrown away, and sent again by a timer that doubles (tcp_retransmit_timer()): a reader that has rested for seconds would wait for as long
 * once more. So what is redirected leaves the promised window its room. */
#pragma once

#include "lane.h"
#include "socket.h"

/* A message that a reader has not read takes a struct sk_msg of about 1 KiB, however small it is, and no kernel charges
 * that to anyone: a reader with this many unread is full as well. */
#define UNREAD_MESSAGES_MAX 128
#define FAR_BEHIND (1ll << 40)
/* For a program that might splice(2) it is better to have nothing in TCP behind redirected bytes (handover.h): it gets more, but with
 * what TCP takes (some 4 MB, tcp_wmem[2]) no more than half as much again as over TCP alone. */
#define SPLICER_UNREAD_BYTES (7 << 18)
#define SPLICER_UNREAD_MESSAGES 4096
/* Of what TCP takes for a window, its buffers' own share. */
#define WINDOW_OVERHEAD_SHIFT 4
/* Of a buffer that is promised as a whole, what is redirected all the same, and no less than so many bytes: less than the last segment, which
 * TCP takes in any case. */
#define ROOM_MIN_SHIFT 5
#define ROOM_MIN_BYTES 4096
/* A lane notes the room in units of this. */
#define ROOM_SHIFT 8
#define ROOM_MAX 0xffff
#define SOCK_SNDBUF_LOCK 1
#define SOCK_RCVBUF_LOCK 2

/* Redirecting adds to the reader's sk_rmem_alloc on some kernels (6.1 and 6.12 stable, 6.18) and not on others (5.10):
 * user space tries it before this object is loaded. */
const volatile bool charges_receiver = false;

/* What is in a redirected queue: its messages, and from this bit on its bytes. */
#define UNREAD_BYTES_AT 16
#define UNREAD_MESSAGES ((1u << UNREAD_BYTES_AT) - 1)

/* Walks the redirected queue; it may change meanwhile, so what it gives is good for a decision, and no more. Not static: the verifier
 * looks at it once.
 *
 * @address: the psock's */
__noinline __u64 count_unread(__u64 address)
{
	struct sk_psock *psock = (void *)address;
	struct list_head *head = __builtin_preserve_access_index(&psock->ingress_msg);
	struct list_head *at = READ(head, next);
	__u64 bytes = 0;

	for (int i = 0; i < UNREAD_MESSAGES_MAX; i++) {
		struct sk_msg *msg;

		if (!at || at == head)
			return bytes << UNREAD_BYTES_AT | i;
		msg = (void *)at - bpf_core_field_offset(struct sk_msg, list);
		bytes += READ(msg, sg.size);
		at = READ(at, next);
	}
	return FAR_BEHIND << UNREAD_BYTES_AT | UNREAD_MESSAGES_MAX;
}

/* Kernels that answer FIONREAD for redirected bytes, instead of TCP's, keep their sum. */
static __always_inline bool counts_redirected(void)
{
	return bpf_core_field_exists(struct sk_psock, msg_tot_len);
}

static __always_inline __s64 unread_bytes_in(struct sk_psock *psock)
{
	if (!psock)
		return 0;
	if (counts_redirected())
		return READ(psock, msg_tot_len);
	return count_unread((__u64)psock) >> UNREAD_BYTES_AT;
}

/* Redirected bytes that the socket's owner has not read: of any socket, */
static __always_inline __s64 unread_bytes(struct sock *sk)
{
	return unread_bytes_in(psock_of(sk));
}

/* and of the peer of one in our sockhash. What is wrong of a peer that has just left keeps nobody: the redirection to
 * it fails, and the message passes. */
static __always_inline __s64 unread_bytes_of_member(struct sock *sk)
{
	return unread_bytes_in(psock_of_member(sk));
}

/* Whether there are any. */
static __always_inline bool has_unread(struct sock *member)
{
	struct sk_psock *psock = psock_of_member(member);
	struct list_head *head;

	if (!psock)
		return false;
	if (counts_redirected())
		return READ(psock, msg_tot_len);
	head = __builtin_preserve_access_index(&psock->ingress_msg);
	return READ(head, next) != head;
}

static __always_inline bool has_set_buffer(struct sock *sk, __u8 lock)
{
	__u8 locks = casts_addresses ? BPF_CORE_READ_BITFIELD(sk, sk_userlocks) : BPF_CORE_READ_BITFIELD_PROBED(sk, sk_userlocks);

	return locks & lock;
}

/* A program that might splice gets more than its buffer, unless one of the two has said how much there may be. */
static __always_inline bool gets_more(bool can_splice, struct sock *own, struct sock *reader)
{
	return can_splice && !has_set_buffer(reader, SOCK_RCVBUF_LOCK) && !has_set_buffer(own, SOCK_SNDBUF_LOCK);
}

/* Bytes that the reader has not read, or no more than those, by one load. */
static __always_inline __s64 bytes_charged_to(struct sock *reader)
{
	return charges_receiver ? field(reader, sk_backlog.rmem_alloc.counter) : unread_bytes_of_member(reader);
}

/* How many redirected bytes fit beside what TCP has promised to take, in units of 1 << ROOM_SHIFT. A buffer that nobody has set grows with what comes by TCP
 * (tcp_clamp_window()). The promise changes when something comes by TCP, and then a lane is looked at anew. */
static __always_inline __u16 room_beside_tcp(struct sock *reader)
{
	struct tcp_sock *tp = (void *)reader;
	__s64 most = field(reader, sk_rcvbuf), least = most >> ROOM_MIN_SHIFT, promised, room;

	if (!charges_receiver)
		return ROOM_MAX;
	promised = (__s32)(READ(tp, rcv_wup) + READ(tp, rcv_wnd) - READ(tp, rcv_nxt));
	if (promised < 0)
		promised = 0;
	if (!has_set_buffer(reader, SOCK_RCVBUF_LOCK)) {
		int grown = READ(reader, __sk_common.skc_net.net, ipv4.sysctl_tcp_rmem[2]);

		if (grown > most)
			most = grown;
	}
	if (least < ROOM_MIN_BYTES)
		least = ROOM_MIN_BYTES;
	room = most - promised - (promised >> WINDOW_OVERHEAD_SHIFT);
	if (room < least)
		room = least;
	room >>= ROOM_SHIFT;
	return room < ROOM_MAX ? room : ROOM_MAX;
}

/* @room: room_beside_tcp() */
static __always_inline bool leaves_tcp_its_room(__s64 bytes, __u16 room)
{
	return room == ROOM_MAX || bytes <= (__s64)room << ROOM_SHIFT;
}

/* The short answer: the reader is known to have room, without a look at what its program may do or has set.
 * @bytes: bytes_charged_to() it
 * @burst: messages sent since it was last seen to have read all
 * @room: room_beside_tcp() */
static __always_inline bool has_much_room(struct sock *reader, __s64 bytes, __u32 size, __u32 burst, __u16 room)
{
	return bytes + size <= field(reader, sk_rcvbuf) >> 1 && leaves_tcp_its_room(bytes + size, room) && burst < UNREAD_MESSAGES_MAX;
}

/* @size: of the message that would come to it
 * @room: room_beside_tcp()
 * @burst: as above, with this one; comes back as it is now when the messages were counted */
static __always_inline bool reader_is_full(struct sock *own, struct sock *reader, bool can_splice, __s64 bytes, __u32 size,
					   __u16 room, __u32 *burst)
{
	int limit = field(reader, sk_rcvbuf);
	struct sk_psock *psock;
	__u32 unread;

	if (!leaves_tcp_its_room(bytes + size, room))
		return true;
	/* Most often there is less. */
	if (bytes + size > limit >> 1) {
		/* Who has said how much there may be gets a half of it here: TCP has room for as much again. */
		if (has_set_buffer(reader, SOCK_RCVBUF_LOCK))
			return true;
		if (bytes >= (gets_more(can_splice, own, reader) ? SPLICER_UNREAD_BYTES : limit))
			return true;
	}
	/* So many that they could be too many: count them. */
	if (*burst < UNREAD_MESSAGES_MAX)
		return false;
	if (gets_more(can_splice, own, reader))
		return *burst >= SPLICER_UNREAD_MESSAGES;
	psock = psock_of_member(reader);
	unread = psock ? count_unread((__u64)psock) & UNREAD_MESSAGES : 0;
	if (unread >= UNREAD_MESSAGES_MAX)
		return true;
	*burst = unread;
	return false;
}
