/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who may enter the sockhash, and how its two ends find each other.
 *
 *   SYN answered by a listener of ours     answers[handshake] = what the server's side is
 *   client ESTABLISHED                     finds its answer: the peer is local; the rules decide; enters; clients[handshake]
 *   accepted socket ESTABLISHED            finds its client; enters; servers[client's key]
 *   client's first send                    finds its server
 *
 * A client whose SYN nobody here answered has a peer on another host: it never enters, so it pays nothing from then on. */
#pragma once

/* What sockops calls is not inlined: their stacks would add up. */

static __always_inline struct sock *request_of(struct bpf_sock_ops *ops)
{
	struct sock *sk = NULL;

	/* The program's context is the kernel's struct bpf_sock_ops_kern: readable on every kernel, where
	 * bpf_cast_to_kern_ctx() needs 6.2 and ops->sk is NULL for a request socket. */
	bpf_probe_read_kernel(&sk, sizeof(sk), (void *)ops + bpf_core_field_offset(struct bpf_sock_ops_kern, sk));
	return sk;
}

static __always_inline enum exclusion exclusion_of(struct sock *sk)
{
	if (has_ulp(sk))
		return EXCLUDED_PROTOCOL;
	return is_kernels(sk) ? EXCLUDED_KERNEL : NOT_EXCLUDED;
}

/* Behind an MPTCP socket is a TCP socket with MPTCP's ULP that listens for it. A plain client's connection has lost the ULP when it is
 * established, but mptcp_stream_accept() takes whatever was put into a sockmap before for MPTCP's: a warning, or worse
 * (CVE-2025-68227). The request says so as well, where a cookie hides which of several listeners has sent it. */
static __always_inline enum exclusion exclusion_behind(struct tcp_request_sock *req, struct sock *listener)
{
	if (bpf_core_field_exists(req->is_mptcp) && READ(req, is_mptcp))
		return EXCLUDED_PROTOCOL;
	return exclusion_of(listener);
}

/* Whether there is a reason, which it counts. */
static __always_inline bool refuse(enum exclusion exclusion)
{
	if (exclusion == EXCLUDED_PROTOCOL)
		count(refused_protocol, 1);
	if (exclusion == EXCLUDED_KERNEL)
		count(refused_kernel_socket, 1);
	return exclusion != NOT_EXCLUDED;
}

static __noinline int syn_answered(struct bpf_sock_ops *ops)
{
	struct tcp_request_sock *req = (void *)request_of(ops);
	struct sock_common *common = (void *)req;
	struct handshake key = {};
	struct answer answer = {};
	struct sock *listener;

	if (!req)
		return 0;
	listener = READ(common, skc_listener);
	if (!listener)
		listener = listener_behind(common);
	if (!listener)
		return 0;
	listener = socket_at(listener);
	key.client_seq = READ(req, rcv_isn) + 1;
	key.server_seq = READ(req, snt_isn) + 1;
	local_endpoint(common, &answer.server);
	remote_endpoint(common, &answer.client);
	answer.server_owner = owner_of(listener);
	answer.nonblocking = nonblocking(listener);
	answer.exclusion = exclusion_behind(req, listener);
	answer.server_program = program_of_listener(listener);
	bpf_map_update_elem(&answers, &key, &answer, BPF_ANY);
	return 0;
}

/* @client: NULL when it is not known which that is */
static __always_inline bool programs_may_enter(const struct executable *client, const struct executable *server,
						struct answer *answer)
{
	enum habit clients = client ? habit_of(client) : HABIT_UNKNOWN, servers = habit_of(server);

	if (clients > HABIT_RECEIVES || servers > HABIT_RECEIVES) {
		count(refused_habit, 1);
		return false;
	}
	if (!learns_first() || (clients == HABIT_RECEIVES && servers == HABIT_RECEIVES))
		return true;
	answer->to_observe = (clients == HABIT_UNKNOWN ? OBSERVE_CLIENT : 0) |
			     (servers == HABIT_UNKNOWN ? OBSERVE_SERVER : 0);
	count(refused_unknown, 1);
	return false;
}

/* Not inlined: what it needs is on the stack only while it decides. */
static __noinline enum decision rules_decide(struct sock *sk, const struct answer *answer)
{
	struct connection connection = {};

	local_endpoint((void *)sk, &connection.client[0]);
	remote_endpoint((void *)sk, &connection.server[0]);
	connection.client[1] = answer->client;
	connection.server[1] = answer->server;
	connection.client_owner = owner_of(sk);
	connection.server_owner = answer->server_owner;
	return decide(&connection, true);
}

static __noinline int is_without_memory(void)
{
	__u32 zero = 0;
	struct control *now = bpf_map_lookup_elem(&control, &zero);

	return now && now->mode == MODE_WITHOUT_MEMORY;
}

static __always_inline bool client_may_enter(struct sock *sk, struct answer *answer, const struct executable *program)
{
	if (refuse(exclusion_of(sk)) || refuse(answer->exclusion))
		return false;
	if (is_without_memory()) {
		count(refused_no_memory, 1);
		return false;
	}
	if (sends_zerocopy(sk)) {
		count(refused_habit, 1);
		return false;
	}
	if (!all_sockets && !nonblocking(sk)) {
		count(refused_blocking_client, 1);
		return false;
	}
	if (!all_sockets && !answer->nonblocking) {
		count(refused_blocking_listener, 1);
		return false;
	}
	switch (rules_decide(sk, answer)) {
	case ACCELERATE:
		return programs_may_enter(program, &answer->server_program, answer);
	case RETURN_RULE:
		count(refused_return_rule, 1);
		return false;
	default:
		count(refused_no_accept_rule, 1);
		return false;
	}
}

static __always_inline bool server_may_enter(struct sock *sk)
{
	if (refuse(exclusion_of(sk)))
		return false;
	if (sends_zerocopy(sk)) {
		count(refused_habit, 1);
		return false;
	}
	return true;
}

static __always_inline void count_error(__u32 number)
{
	__u64 *times = bpf_map_lookup_elem(&refused_errors, &number);
	__u64 once = 1;

	/* Another CPU may have been first. */
	if (!times && bpf_map_update_elem(&refused_errors, &number, &once, BPF_NOEXIST))
		times = bpf_map_lookup_elem(&refused_errors, &number);
	if (times)
		__sync_fetch_and_add(times, 1);
}

static __always_inline void count_not_entered(long error)
{
	if (error == -EBUSY)
		count(refused_other_sockmap, 1);
	else if (error == -E2BIG)
		count(refused_map_full, 1);
	else if (error == -ENOMEM)
		count(refused_no_memory, 1);
	else
		count_error(-error);
}

static __always_inline struct link *enter(struct bpf_sock_ops *ops, struct bpf_sock *sk, struct end *self)
{
	struct link *link;
	long error;

	/* Who has a socket first keeps it: a sockmap with other programs would let us in. */
	if (psock_of((void *)self->tcp_sock)) {
		count(refused_other_sockmap, 1);
		return NULL;
	}
	link = bpf_sk_storage_get(&links, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!link) {
		count(refused_no_storage, 1);
		return NULL;
	}
	link->key = self->key;
	link->tcp_bytes_end = ops->snd_nxt;
	self->link = (__u64)link;
	error = bpf_sock_hash_update(ops, &sockets, &self->key, BPF_ANY);
	if (error) {
		bpf_sk_storage_delete(&links, sk);
		count_not_entered(error);
		return NULL;
	}
	link->psock = (__u64)psock_of_member((void *)self->tcp_sock);
	link->callbacks = ask_for_callbacks(ops);
	remember_tcp((void *)self->tcp_sock);
	return link;
}

/* Not inlined, so that what it needs is not on the stack while the rules decide: 5.10 counts strictly. */
static __noinline int client_enters(struct bpf_sock_ops *ops, struct bpf_sock *sk, const struct executable *server_program)
{
	struct handshake key = { ops->snd_nxt, ops->rcv_nxt };
	struct tcp_sock *tp = (void *)bpf_skc_to_tcp_sock(sk);
	struct waiting_client waiting = {};
	const struct executable *program;
	struct link *link;

	if (!tp)
		return 0;
	waiting.server_program = *server_program;
	waiting.end.cookie = bpf_get_socket_cookie(ops);
	waiting.end.key = waiting.end.cookie << 1;
	waiting.end.tcp_sock = (__u64)tp;
	link = enter(ops, sk, &waiting.end);
	if (!link)
		return 0;
	program = program_of_client((void *)tp);
	if (program)
		link->program = *program;
	link->notice.programs = 1;
	bpf_map_update_elem(&clients, &key, &waiting, BPF_ANY);
	return 1;
}

static __noinline int client_established(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct handshake key = { ops->snd_nxt, ops->rcv_nxt };
	struct tcp_sock *tp = (void *)bpf_skc_to_tcp_sock(sk);
	const struct executable *program;
	struct answer *answer;
	bool may_enter;

	if (!tp)
		return 0;
	answer = bpf_map_lookup_elem(&answers, &key);
	if (!answer) {
		count(refused_not_local, 1);
		return 0;
	}
	program = program_of_client((void *)tp);
	may_enter = client_may_enter((void *)tp, answer, program);
	if (answer->to_observe & OBSERVE_CLIENT && program)
		observe(ops, (void *)tp, program, 0);
	if (may_enter)
		client_enters(ops, sk, &answer->server_program);
	if (!(answer->to_observe & OBSERVE_SERVER))
		bpf_map_delete_elem(&answers, &key);
	return 0;
}

static __noinline int server_established(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct handshake key = { ops->rcv_nxt, ops->snd_nxt };
	struct tcp_sock *tp = (void *)bpf_skc_to_tcp_sock(sk);
	struct waiting_client *client;
	struct answer *answer;
	struct end self = {};
	struct link *link;

	if (!tp)
		return 0;
	give_up_header_options(ops, (void *)tp);
	client = bpf_map_lookup_elem(&clients, &key);
	if (!client) {
		answer = bpf_map_lookup_elem(&answers, &key);
		if (answer && answer->to_observe & OBSERVE_SERVER)
			observe(ops, (void *)tp, &answer->server_program, 0);
		bpf_map_delete_elem(&answers, &key);
		return 0;
	}
	self.cookie = bpf_get_socket_cookie(ops);
	self.key = client->end.key | 1;
	self.tcp_sock = (__u64)tp;
	if (server_may_enter((void *)tp) && (link = enter(ops, sk, &self))) {
		link->peer = client->end;
		link->program = client->server_program;
		link->notice.programs = 1;
		if (bpf_map_update_elem(&servers, &client->end.key, &self, BPF_ANY))
			want_to_leave(link, (void *)tp, LEAVE_UNPAIRED);
		else
			count(connections_paired, 1);
	}
	bpf_map_delete_elem(&clients, &key);
	return 0;
}

/* A client learns its peer when it first needs it. */
static __always_inline bool paired(struct link *link)
{
	__u64 key = link->key;
	struct end *server;

	if (link->peer.key)
		return true;
	server = bpf_map_lookup_elem(&servers, &key);
	if (!server)
		return false;
	link->peer = *server;
	bpf_map_delete_elem(&servers, &key);
	return true;
}
