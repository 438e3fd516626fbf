/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Copies a message for who dumps (dumping.h), in parts. */
#pragma once

#include "connection.h"
#include "dumping.h"
#include "lane.h"
#include "lease.h"
#include "socket.h"
#include "task.h"

/* Records have one of these sizes, since the kernel sets aside room of constant sizes only. */
#define DUMP_TINY 256
#define DUMP_SMALL 640
#define DUMP_PAGE 2048
#define DUMP_PAGES 8192
#define DUMP_MOST 33024
#define DUMP_ROOM(size) (size - sizeof(struct dumped))
#define DUMP_PART_BYTES 32768
#define DUMP_PARTS_MAX 40

/* Nobody is woken: who dumps looks often enough by itself. */
#define WRITE_PART(ring, size, head, from, length) \
	({ \
		void *record = bpf_ringbuf_reserve(ring, size, 0); \
		__u32 known = length; \
		if (!record) \
			return 1; \
		__builtin_memcpy(record, head, sizeof(struct dumped)); \
		barrier_var(known); \
		if (known > DUMP_ROOM(size)) \
			known = DUMP_ROOM(size); \
		bpf_probe_read_kernel(record + sizeof(struct dumped), known, from); \
		bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP); \
		0; \
	})

static __always_inline int write_part(const struct dumped *head, const void *from, __u32 bytes)
{
	__u32 zero = 0;
	void *ring = bpf_map_lookup_elem(&dumps, &zero);

	if (!ring)
		return 1;
	if (bytes <= DUMP_ROOM(DUMP_TINY))
		return WRITE_PART(ring, DUMP_TINY, head, from, bytes);
	if (bytes <= DUMP_ROOM(DUMP_SMALL))
		return WRITE_PART(ring, DUMP_SMALL, head, from, bytes);
	if (bytes <= DUMP_ROOM(DUMP_PAGE))
		return WRITE_PART(ring, DUMP_PAGE, head, from, bytes);
	if (bytes <= DUMP_ROOM(DUMP_PAGES))
		return WRITE_PART(ring, DUMP_PAGES, head, from, bytes);
	return WRITE_PART(ring, DUMP_MOST, head, from, bytes);
}

/* How long an element of the message is: its struct scatterlist says. */
static __always_inline __u32 element_bytes(struct sk_msg_md *msg, __u32 element)
{
	__u32 bytes = 0;

	bpf_probe_read_kernel(&bytes, sizeof(bytes),
			      (void *)msg + bpf_core_field_offset(struct sk_msg, sg.data) +
				      (__u64)element * bpf_core_type_size(struct scatterlist) +
				      bpf_core_field_offset(struct scatterlist, length));
	return bytes;
}

/* Writes the next part of a message, within one of its elements: there bpf_msg_pull_data() only says where the bytes are. The message
 * begins at its first element: nothing here sends one in parts (bpf_msg_apply_bytes()). Returns whether another follows. Not static, and
 * with what it works on in the storage: so the verifier looks at it once, and not once for every length that a part may have. */
__noinline int dump_part(struct sk_msg_md *msg)
{
	struct bpf_sock *sk = msg->sk;
	struct dumped_message *message;
	struct dumped *head;
	__u32 bytes;

	/* Linux 5.10 looks also at functions that are never called. */
	if (!can_dump || !sk)
		return 0;
	message = bpf_sk_storage_get(&dump_heads, sk, 0, 0);
	if (!message)
		return 0;
	head = &message->head;
	head->offset += head->bytes;
	head->bytes = 0;
	if (head->offset >= head->message_bytes)
		return 0;
	if (!message->left)
		message->left = element_bytes(msg, message->element++);
	bytes = message->left;
	if (!bytes)
		return 0;
	if (bytes > DUMP_PART_BYTES)
		bytes = DUMP_PART_BYTES;
	head->bytes = bytes;
	message->left -= bytes;
	if (bpf_msg_pull_data(msg, head->offset, head->offset + bytes, 0) || write_part(head, msg->data, bytes))
		lose_record(&dumping);
	return 1;
}

static __always_inline void name_end(struct dumped_end *end, struct sock *sk)
{
	end->netns = READ(sk, __sk_common.skc_net.net, ns.inum);
	local_endpoint((void *)sk, &end->local);
	remote_endpoint((void *)sk, &end->remote);
}

/* What TCP has been given so far, and what went past it: `lane` is the address of the lane. */
static __always_inline __u32 next_seq(struct sock *sk, __u64 lane)
{
	struct tcp_sock *tp = (void *)sk;

	return READ(tp, write_seq) + (__u32)(__u64)pointer_at((void *)lane + offsetof(struct lane, bytes));
}

static __always_inline void note_peer_seen(struct dumped *head, const struct end *end)
{
	struct sock *peer = socket_at(end->tcp_sock);

	if (!end->tcp_sock || (__u64)READ(peer, __sk_common.skc_cookie.counter) != end->cookie)
		return;
	head->ack = next_seq(peer, end->lane);
	if (head->has_peer)
		return;
	head->has_peer = 1;
	name_end(&head->peer, peer);
}

/* Says what is said of each part. Returns whether there is room for it. */
static __noinline int note_message(struct sk_msg_md *msg, struct lane *lane, struct sock *own, __u32 passed)
{
	struct bpf_sock *sk = msg->sk;
	struct task_struct *task = current_task();
	struct dumped_message *message;
	struct dumped *head;

	if (!sk)
		return 0;
	message = bpf_sk_storage_get(&dump_heads, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!message)
		return 0;
	message->element = 0;
	message->left = 0;
	head = &message->head;
	head->offset = 0;
	head->bytes = 0;
	if (!head->key) {
		head->key = lane->key;
		name_end(&head->own, own);
	}
	head->ns = bpf_ktime_get_ns();
	head->seq = next_seq(own, (__u64)lane);
	head->passed = passed;
	head->message_bytes = msg->size;
	head->pid = field(task, tgid);
	bpf_probe_read_kernel(head->program, sizeof(head->program), __builtin_preserve_access_index(&task->comm));
	if (lane->found.peer.key)
		note_peer_seen(head, &lane->found.peer);
	else
		note_peer_seen(head, &lane->peer);
	return 1;
}

/* The message that is looked at. */
static __noinline int dump_message(struct sk_msg_md *msg, struct lane *lane, struct sock *own, __u32 passed)
{
	if (!note_message(msg, lane, own, passed)) {
		lose_record(&dumping);
		return 0;
	}
	for (int i = 0; i < DUMP_PARTS_MAX; i++) {
		if (!dump_part(msg))
			return 0;
	}
	lose_record(&dumping); /* its end */
	return 0;
}
