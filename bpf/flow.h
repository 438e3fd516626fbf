/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flow rule: a reader that has its receive buffer full of redirected bytes gets no more of them. The next message
 * goes through TCP, whose window then holds the sender as it always does: no EAGAIN, no ENOMEM, bounded memory. */
#pragma once

#define UNREAD_WALK 32 /* messages looked at before a reader counts as far behind */
#define FAR_BEHIND (1ll << 40)

/* Redirecting adds to the reader's sk_rmem_alloc on some kernels (6.1 and 6.12 stable, 6.18) and not on others (5.10):
 * user space tries it before this object is loaded. */
const volatile bool charges_receiver = false;

/* Redirected bytes that the socket's owner has not read. */
static __always_inline __s64 unread_bytes(struct sock *sk)
{
	struct sk_psock *psock = psock_of(sk);
	struct list_head *head, *at;
	__s64 bytes = 0;

	if (!psock)
		return 0;
	/* Kernels that answer FIONREAD for redirected bytes keep their sum. */
	if (bpf_core_field_exists(psock->msg_tot_len))
		return BPF_CORE_READ(psock, msg_tot_len);
	head = __builtin_preserve_access_index(&psock->ingress_msg);
	at = BPF_CORE_READ(head, next);
	for (int i = 0; i < UNREAD_WALK; i++) {
		struct sk_msg *msg;

		if (!at || at == head)
			return bytes;
		msg = (void *)at - bpf_core_field_offset(struct sk_msg, list);
		bytes += BPF_CORE_READ(msg, sg.size);
		at = BPF_CORE_READ(at, next);
	}
	return FAR_BEHIND;
}

static __always_inline bool reader_is_full(struct sock *reader)
{
	int limit = field(reader, sk_rcvbuf);

	if (charges_receiver)
		return field(reader, sk_backlog.rmem_alloc.counter) >= limit;
	return unread_bytes(reader) >= limit;
}
