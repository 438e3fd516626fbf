/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How a socket enters the sockhash, by its handshake: the kernel gives it a psock and sk_msg programs from then on; it gets a lane, and
 * callbacks to leave by. */
#pragma once

#include "callbacks.h"
#include "count.h"
#include "lane.h"
#include "memory.h"
#include "refused.h"
#include "socket.h"

static __always_inline void refuse_for(__u8 *refused, long error)
{
	if (error == -EBUSY)
		refuse_end(refused, REFUSED_OTHER_SOCKMAP);
	else if (error == -E2BIG)
		refuse_end(refused, REFUSED_MAP_FULL);
	else if (error == -ENOMEM)
		refuse_end(refused, REFUSED_NO_MEMORY);
	else {
		__u32 number = -error;

		count_key(&refused_errors, &number, 1);
	}
}

/* NULL when the socket stays outside, which is counted; then @refused is as in refuse_end(). */
static __always_inline struct lane *enter(struct bpf_sock_ops *ops, struct bpf_sock *sk, struct end *self, __u8 *refused)
{
	struct lane *lane;
	long error;

	/* Who has a socket first keeps it: a sockmap with other programs would let us in. */
	if (psock_of((void *)self->tcp_sock)) {
		refuse_end(refused, REFUSED_OTHER_SOCKMAP);
		return NULL;
	}
	lane = bpf_sk_storage_get(&lanes, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!lane) {
		refuse_end(refused, REFUSED_NO_STORAGE);
		return NULL;
	}
	lane->key = self->key;
	lane->since_ns = bpf_ktime_get_ns();
	lane->tcp_bytes_end = ops->snd_nxt;
	self->lane = (__u64)lane;
	error = bpf_sock_hash_update(ops, &sockets, &self->key, BPF_ANY);
	if (error) {
		bpf_sk_storage_delete(&lanes, sk);
		refuse_for(refused, error);
		return NULL;
	}
	lane->psock = (__u64)psock_of_member((void *)self->tcp_sock);
	lane->callbacks = ask_for_callbacks(ops, CALLBACKS);
	remember_tcp((void *)self->tcp_sock);
	return lane;
}
